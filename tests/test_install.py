"""What people get: the sdist and its wheel, in a clean environment of each Python, typed for checkers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import chardet
import pytest

PROJECT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
# Settings of ours are not the user's.
BARE = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV", "PIP_"))}

USE = """
import json, sys, unmbox
assert "site-packages" in unmbox.__file__, unmbox.__file__
report = unmbox.convert(sys.argv[1], "eml")
print(json.dumps({**report.to_dict(), "names": sorted(unmbox.__all__)}))
"""

TYPED = """
from __future__ import annotations
import io
from collections.abc import Iterator
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing_extensions import assert_type
import unmbox

assert_type(unmbox.convert([Path("a.mbox"), Path("b.mbox")], "eml", dedup="off", resume=False), unmbox.Report)
assert_type(unmbox.convert(iter([b"From "]), Path("eml")).written, int)
unmbox.convert(["a.mbox", Path("b.mbox"), io.BytesIO(), iter([b"From "])], "eml")
unmbox.convert(Path().glob("*.mbox"), "eml")
unmbox.convert({"a.mbox", "b.mbox"}, "eml")
assert_type(unmbox.Report() + unmbox.Report(), unmbox.Report)

def show(progress: unmbox.Progress) -> None:
    assert_type(progress.octets_total, "int | None")

for message in unmbox.messages(open("a.mbox", "rb")):
    assert_type(message, unmbox.Message)
    assert_type(message.date, "datetime | None")
    assert_type(message["To"], "str | None")
    assert_type(message.labels, "list[str]")
    assert_type(message.iter_bytes(), Iterator[bytes])
    assert_type(message.as_email(), EmailMessage)
    assert_type(message.repairs, "tuple[unmbox.Repair, ...]")

for event in unmbox.Parser().feed(b""):
    if isinstance(event, unmbox.Head):
        assert_type(event.from_line, bytes)
    assert_type(unmbox.EmlWriter().send(event), bytes)

class Part:
    def write(self, data: bytes, /) -> None: ...
    def commit(self, name: str, /) -> None: ...
    def discard(self) -> None: ...

class Parts:
    def open(self, message: object, /) -> Part:
        return Part()

unmbox.convert("a.mbox", Parts(), progress=show)
with unmbox.DedupIndex() as index:
    assert_type(index.add("<1@b>", b"body").of, "int | None")
"""
WRONG = """
import unmbox
unmbox.convert(1, "eml")
unmbox.convert("a.mbox", "eml", headers=2)
unmbox.Parser().feed("text")
unmbox.no_such_name
"""


class Built:
    """The archives, built once: the sdist from the project, the wheel from the sdist."""

    def __init__(self, folder: Path) -> None:
        self.clean: dict[str, Path] = {}
        run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder)], PROJECT)
        (self.sdist,) = folder.glob("*.tar.gz")
        with tarfile.open(self.sdist) as archive:
            self.files = archive.getnames()
            archive.extractall(folder, filter="data")
        self.source = folder / self.sdist.name.removesuffix(".tar.gz")
        run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], self.source)
        (self.wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(self.wheel) as wheel:
            self.members = wheel.namelist()


def run(call: list[str], folder: Path, environment: dict[str, str] | None = None) -> str:
    """What a command prints, which must succeed."""
    done = subprocess.run(
        call, cwd=folder, env=environment or BARE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{call}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(tmp_path_factory.mktemp("dist"))


def python(version: str) -> str | None:
    """A Python of this version that runs: ours, one of pyenv's, or one of the system's."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return sys.executable
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    own = [str(path / "bin" / "python") for path in sorted(root.glob(f"versions/{version}.*"))]
    for candidate in (*own, shutil.which(f"python{version}")):
        if candidate and Path(candidate).exists():
            says = subprocess.run(
                [candidate, "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"],
                capture_output=True,
                text=True,
                check=False,
            )
            if says.stdout.strip() == version:
                return candidate
    return None


def installed(built: Built, interpreter: str) -> Path:
    """The Python of a clean environment that holds our wheel and, in pure Python, the one thing it needs."""
    folder = built.wheel.parent / f"clean{len(built.clean)}"
    if inside := built.clean.get(interpreter):
        return inside
    run([interpreter, "-m", "venv", "--without-pip", str(folder)], folder.parent)
    inside = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(inside), "--disable-pip-version-check", "--isolated"]
    run([*pip, "install", "--no-index", "--no-deps", "--no-compile", str(built.wheel)], folder)
    (site,) = folder.glob("lib/python*/site-packages")
    plain = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    shutil.copytree(Path(chardet.__file__).parent, site / "chardet", ignore=plain)
    built.clean[interpreter] = inside
    return inside


@pytest.mark.parametrize("version", PYTHONS)
def test_the_wheel_works_in_a_clean_environment(built: Built, version: str, tmp_path: Path) -> None:
    interpreter = python(version)
    if interpreter is None:
        pytest.skip(f"there is no Python {version} on this machine")
    inside = installed(built, interpreter)
    done = run(
        [str(inside), "-W", "error", "-c", USE, str(PROJECT / "examples" / "sample-takeout.mbox")], tmp_path
    )
    assert '"written": 11' in done
    assert len(list(tmp_path.glob("eml/**/*.eml"))) == 11
    command = subprocess.run(
        [inside.parent / "unmbox"], capture_output=True, text=True, env=BARE, check=False
    )
    assert command.returncode == 2
    assert 'pip install "unmbox[cli]"' in command.stderr


def test_the_wheel_holds_the_library_and_nothing_else(built: Built) -> None:
    package = built.source / "src"
    ours = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    assert "unmbox/py.typed" in ours
    beside = {name for name in built.members if name not in ours}
    assert not ours - set(built.members)
    assert {name.split("/")[0].split("-")[0] for name in beside} == {"unmbox"}
    assert all(".dist-info/" in name for name in beside)


def test_the_wheel_asks_for_chardet_alone(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        (metadata,) = [name for name in built.members if name.endswith(".dist-info/METADATA")]
        lines = wheel.read(metadata).decode().splitlines()
    wanted = [line for line in lines if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert [line.split()[1].split(">")[0] for line in wanted] == ["chardet"]
    assert "Requires-Python: >=3.10" in lines


def test_the_sdist_has_what_its_tests_need(built: Built) -> None:
    for name in ("tests/conftest.py", "docs/index.md", "examples/sample-takeout.mbox", "Makefile"):
        assert (built.source / name).is_file(), name
    assert not [name for name in built.files if "__pycache__" in name or name.endswith((".pyc", ".eml"))]


CHECKERS = {
    "mypy": ["--strict", "--no-incremental", "--python-executable"],
    "pyright": ["--pythonpath"],
}


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_users_program_is_checked_against_our_types(built: Built, checker: str, tmp_path: Path) -> None:
    call = [sys.executable, "-m", checker, *CHECKERS[checker], str(installed(built, sys.executable))]
    (tmp_path / "typed.py").write_text(TYPED, "utf-8")
    run([*call, "typed.py"], tmp_path)
    (tmp_path / "wrong.py").write_text(WRONG, "utf-8")
    wrong = subprocess.run(
        [*call, "wrong.py"], cwd=tmp_path, env=BARE, capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 1
    assert wrong.stdout.count("error:") == 4, wrong.stdout + wrong.stderr
