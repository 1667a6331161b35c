"""What all tests share: the corpus, and how hard hypothesis tries."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from corpus import ROOT

# Derandomised, so that a run says the same thing twice; the thorough profile is the one that hunts.
settings.register_profile(
    "ci", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "thorough", parent=settings.get_profile("ci"), derandomize=False, max_examples=5_000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real mail beside the checkout."""
    if not (ROOT / "manifest.tsv").exists():
        pytest.skip("the corpus of real mail (../shared/corpus) is not beside this checkout")
    return ROOT
