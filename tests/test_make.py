"""The set-up that `make` does for itself, and the sample that `make demo` converts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]

# A Python as far as the Makefile can tell. It writes down what it was asked for, and fails when told to.
PYTHON = """#!/bin/sh
case "$*" in
  --version) echo Python 3.12.0 ;;
  -c*) exit 0 ;;
  *) echo "$*" >> asked
     step=$(wc -l < asked)
     mkdir -p .venv/bin
     [ -f .venv/bin/python ] || cp "$0" .venv/bin/python
     echo > .venv/$((step))
     [ "$(cat fail-at 2>/dev/null)" != $((step)) ] ;;
esac
"""
BROKEN = "#!/bin/sh\necho 'no such version' >&2\nexit 127\n"


class Checkout:
    """A folder with the project's Makefile, and a set-up that takes no time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        shutil.copy(PROJECT / "Makefile", path)
        shutil.copy(PROJECT / "pyproject.toml", path)
        self.programs = path / "programs"
        self.programs.mkdir()
        # make's own needs, and no Python but those that a test puts there.
        for name in ("sh", "cat", "cksum", "comm", "cp", "echo", "find", "mkdir", "rm", "sed", "sort", "wc"):
            self.programs.joinpath(name).symlink_to(shutil.which(name) or f"/bin/{name}")
        self.install("python3", PYTHON)

    def install(self, name: str, script: str) -> None:
        program = self.programs / name
        program.write_text(script)
        program.chmod(0o755)

    def setup(self) -> subprocess.CompletedProcess[str]:
        make = shutil.which("make")
        assert make, "these are tests of the Makefile: they need make"
        env = {"PATH": str(self.programs), "HOME": str(self.path)}
        return subprocess.run(
            [make, "setup"], cwd=self.path, env=env, capture_output=True, text=True, check=False
        )

    def asked(self) -> list[str]:
        """What Python was asked to do since the last time."""
        asked = self.path / "asked"
        lines = asked.read_text().splitlines() if asked.exists() else []
        asked.unlink(missing_ok=True)
        return lines


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def assert_set_up_anew(checkout: Checkout) -> None:
    done = checkout.setup()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Setting up .venv with Python 3.12.0 ...\n"
    venv, pip, install = checkout.asked()
    assert venv == "-m venv .venv"
    assert re.search("install .*pip", pip)
    assert re.search(r"install .*--editable \.\[[a-z,]+\] --group dev", install)
    assert_nothing_to_do(checkout)


def assert_nothing_to_do(checkout: Checkout) -> None:
    done = checkout.setup()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert checkout.asked() == []


def test_set_up_is_done_once(checkout: Checkout) -> None:
    assert_set_up_anew(checkout)


@pytest.mark.parametrize("step", ["1", "2", "3"])
def test_set_up_that_failed_heals_on_the_next_call(checkout: Checkout, step: str) -> None:
    (checkout.path / "fail-at").write_text(step)
    assert checkout.setup().returncode != 0
    assert len(checkout.asked()) == int(step)
    (checkout.path / "fail-at").unlink()
    assert_set_up_anew(checkout)


@pytest.mark.parametrize("name", ["bin/python", "3", ".whole", ".files"])
def test_set_up_is_done_anew_where_a_file_is_gone(checkout: Checkout, name: str) -> None:
    assert_set_up_anew(checkout)
    (checkout.path / ".venv" / name).unlink()
    assert_set_up_anew(checkout)


def test_files_that_came_later_do_not_matter(checkout: Checkout) -> None:
    assert_set_up_anew(checkout)
    (checkout.path / ".venv" / "a tool's cache").touch()
    assert_nothing_to_do(checkout)


def test_set_up_is_done_anew_for_other_requirements(checkout: Checkout) -> None:
    assert_set_up_anew(checkout)
    with (checkout.path / "pyproject.toml").open("a") as project:
        project.write("# and one more\n")
    assert_set_up_anew(checkout)


def test_set_up_is_done_anew_in_another_place(checkout: Checkout) -> None:
    assert_set_up_anew(checkout)
    checkout.path = checkout.path.rename(checkout.path.with_name("moved"))
    checkout.programs = checkout.path / "programs"
    assert_set_up_anew(checkout)


def test_a_python_that_only_seems_to_be_there_is_passed_over(checkout: Checkout) -> None:
    checkout.install("python3", BROKEN)
    checkout.install("python3.13", BROKEN)
    checkout.install("python3.12", PYTHON)
    assert_set_up_anew(checkout)


def test_a_python_of_pyenv_is_found_though_its_shims_fail(checkout: Checkout) -> None:
    checkout.install("python3", BROKEN)
    inside = checkout.path / ".pyenv" / "versions" / "3.12.1" / "bin"
    inside.mkdir(parents=True)
    (checkout.programs / "python3").rename(inside / "other")
    checkout.install("python3", PYTHON)
    (checkout.programs / "python3").rename(inside / "python3")
    assert_set_up_anew(checkout)


def test_without_a_fitting_python_it_says_what_is_needed(checkout: Checkout) -> None:
    checkout.install("python3", BROKEN)
    done = checkout.setup()
    assert done.returncode != 0
    assert "needs Python 3.10 or newer" in done.stderr
    assert "make PYTHON=" in done.stderr
    assert not (checkout.path / ".venv").exists()


def test_make_names_its_commands() -> None:
    done = subprocess.run(["make"], cwd=PROJECT, capture_output=True, text=True, check=True)
    for name in ("demo", "test", "lint", "docs", "bench", "clean", "help"):
        assert re.search(rf"^  make {name} +\w", done.stdout, re.MULTILINE)


def test_ci_runs_what_people_run() -> None:
    script = PROJECT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    assert lines[-1].startswith("exec make test")


def test_the_sample_is_what_its_script_writes(tmp_path: Path) -> None:
    script = tmp_path / "make_sample.py"
    shutil.copy(PROJECT / "examples" / "make_sample.py", script)
    env = {**os.environ, "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, script], env=env, check=True, capture_output=True)
    committed = (PROJECT / "examples" / "sample-takeout.mbox").read_bytes()
    assert (tmp_path / "sample-takeout.mbox").read_bytes() == committed


def test_the_sample_is_as_takeout_writes() -> None:
    octets = (PROJECT / "examples" / "sample-takeout.mbox").read_bytes()
    assert octets.count(b"\n") == octets.count(b"\r\n") == octets.count(b"\r")
    top = rb"^From \d+@xxx \w{3} \w{3} \d\d [\d:]{8} \+0000 \d{4}\r\nX-GM-THRID: \d+\r\nX-Gmail-Labels: "
    assert len(re.findall(top, octets, re.MULTILINE)) == 12
    assert re.search(rb"\r\n>From ", octets)
    assert b"=?ISO-2022-JP?B?" in octets
    assert b"\r\nFrom the station" in octets
