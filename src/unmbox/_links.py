"""Hard links inside a folder of EMLs: one file, in the folder of each of its labels."""

# As in `sinks`, whose descriptors these are:
# ruff: noqa: PTH118

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from unmbox.errors import DestinationError
from unmbox.sinks import DirectorySink, _explain


def link(sink: DirectorySink, path: str, other: str, *, replace: Callable[[str], bool]) -> None:
    """Give the file at `path`, that the sink has written, the name `other` too; both are relative.

    A file that has this name already makes way if it is the same, or `replace` says so. Raises
    `DestinationError` where another one has it, or the file system has no links.
    """
    tree = sink._tree  # noqa: SLF001  # its folders are opened, not followed
    folder, _, leaf = path.rpartition("/")
    other_folder, _, other_leaf = other.rpartition("/")
    held: int | None = None
    try:
        source = tree.enter(folder)
        if source.fd is not None:
            held = os.dup(source.fd)  # the tree may close its own to enter the other one
        target = tree.enter(other_folder)
        try:
            os.link(
                source.prefix + leaf,
                target.prefix + other_leaf,
                src_dir_fd=held,
                dst_dir_fd=target.fd,
                follow_symlinks=False,
            )
        except FileExistsError:
            ours = os.stat(source.prefix + leaf, dir_fd=held, follow_symlinks=False)
            there = os.stat(target.prefix + other_leaf, dir_fd=target.fd, follow_symlinks=False)
            if os.path.samestat(ours, there):
                return
            if not replace(other):
                raise
            os.unlink(target.prefix + other_leaf, dir_fd=target.fd)
            link(sink, path, other, replace=replace)
    except OSError as error:
        if error.errno in {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise DestinationError(
                f"cannot link {other}: this file system has no hard links; choose --labels primary"
            ) from error
        _explain(error, os.path.join(sink.path, other))
        raise
    finally:
        if held is not None:
            os.close(held)
