"""What is done only in a process that is ours: the command's, a worker's; never in a program that imports us."""

from __future__ import annotations

import gc

_FEW = 20_000
"""Containers more than were let go of, before the collector looks: 700 look at half of a batch each time."""


def collect_less() -> None:
    """Have the garbage collector pass over what is loaded already, and look less often at the rest.

    Nothing in a conversion is a cycle, so what it finds is nothing; looking took 3% of the time of small
    mail, and 5% where messages go between processes.
    """
    gc.freeze()
    gc.set_threshold(_FEW, *gc.get_threshold()[1:])
