"""The house itself: who may import whom, what an import costs, what is public, what must not be in a file."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import unmbox
from unmbox import errors

PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = PROJECT / "src" / "unmbox"

# From the ground up. A floor is a row of subjects, each of one module or more: a module imports from the
# floors below, and of its own floor only what stands before it in its own subject.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "events", "_log", "_late", "_own_process"),
    (
        "_line_ends",
        "_fromline _mime _scan",
        "_variant",
        (
            "_headers _message_id _codecs _frequencies _text_costs _utf8 _charset _source_charset _decode "
            "labels _dates _missing _fields _sound _signatures _block_charset _addresses _encode _parameters "
            "_block _repairs _report"
        ),
        "_auto",
        "_cells",
        "_names",
        "_destination",
        "_scratch",
        "naming _folders profiles",
    ),
    (
        "_head _selection",
        "_window _judge _parser _single",
        "_writer _checks",
        "sources _flow _packed _entry_names _tar _zip_records _zip _search _takeout _vault _remote _opened",
        "_volume sinks zips",
        "_hashing _turns _dedup_rows _dedup_sqlite dedup _schema _record _replays manifest",
    ),
    (
        (
            "_links _place _zip_place _mail _assembly _sorter _copies _batches _ranges _worker _crew _job "
            "_orders _overlap _convert"
        ),
        "_word_counts _inspection _inspect",
        "_contacts _contacts_csv",
        "_messages",
        "_bridge _flows",
        "_verify_sources _verify_tables _verify_zip _verify_paths _verify_files _verify",
    ),
    (
        (
            "__init__ _terminal _command _command_convert _command_contacts _command_inspect "
            "_command_profiles _command_verify _page_words _page_sums _page_charts report _command_report "
            "_command_completion cli __main__"
        ),
        "aio",
    ),
)
# What `import unmbox` must not load: the extras, and what only some calls need of the standard library.
LATE = {"chardet", "click", "rich", "anyio", "aiofiles", "fsspec", "zstandard", "sqlite3", "asyncio", "email"}

MODULES = sorted(PACKAGE.glob("*.py"))
by_module = pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)


class Place(NamedTuple):
    """Where a module stands."""

    floor: int
    subject: int
    number: int


PLACES = {
    name: Place(floor, subject, number)
    for floor, subjects in enumerate(FLOORS)
    for subject, names in enumerate(subjects)
    for number, name in enumerate(names.split())
}


def may_import(importer: str, imported: str) -> bool:
    """Whether `imported` stands below `importer`, or before it in its own subject."""
    here, there = PLACES[importer], PLACES[imported]
    return there.floor < here.floor or (there[:2] == here[:2] and there.number < here.number)


def is_type_checking(node: ast.AST) -> bool:
    """Whether the node is an `if TYPE_CHECKING:`."""
    if not isinstance(node, ast.If):
        return False
    return ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def running_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node below `tree` except what only a type checker sees."""
    for child in ast.iter_child_nodes(tree):
        if is_type_checking(child):
            for other in child.orelse:  # type: ignore[attr-defined]  # is_type_checking says it is an If
                yield other
                yield from running_nodes(other)
            continue
        yield child
        yield from running_nodes(child)


def own_imports(source: str) -> set[str]:
    """The modules of unmbox that a module imports when it runs, wherever in it the import stands."""
    names = {path.stem for path in MODULES}
    found = set()
    for node in running_nodes(ast.parse(source)):
        dotted: list[str] = []
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "unmbox" if node.level else ""
            base = ".".join(filter(None, [base, node.module]))
            dotted = [f"{base}.{alias.name}" for alias in node.names]
        for name in dotted:
            parts = name.split(".")
            if parts[0] == "unmbox":
                found.add(parts[1] if len(parts) > 1 and parts[1] in names else "__init__")
    return found


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import unmbox", {"__init__"}),
        ("from unmbox import messages", {"__init__"}),
        ("from unmbox import errors, events", {"errors", "events"}),
        ("from .errors import UnmboxError", {"errors"}),
        ("from . import errors as e", {"errors"}),
        ("def f():\n    import unmbox.events", {"events"}),
        (
            "if TYPE_CHECKING:\n  import unmbox.events\nelse:\n  import unmbox.errors",
            {"errors"},
        ),
        ("import os, unmboxed", set()),
    ],
)
def test_own_imports_sees_every_form(source: str, modules: set[str]) -> None:
    assert own_imports(source) == modules


@by_module
def test_a_module_imports_only_from_floors_below(module: Path) -> None:
    assert module.stem in PLACES, f"{module.stem} stands on no floor: add it to FLOORS"
    imported = own_imports(module.read_text("utf-8"))
    above = [name for name in sorted(imported & PLACES.keys()) if not may_import(module.stem, name)]
    assert not above, f"{module.stem} imports {above}"


def test_who_may_import_whom() -> None:
    assert len(PLACES) == sum(len(names.split()) for subjects in FLOORS for names in subjects)
    assert may_import("_parser", "_fromline")
    assert may_import("labels", "_decode")
    assert not may_import("_decode", "labels")
    assert not may_import("_parser", "_writer")
    assert not may_import("errors", "events")
    assert not may_import("_fromline", "_parser")


@by_module
def test_a_module_can_be_read_in_one_sitting(module: Path) -> None:
    text = module.read_text("utf-8")
    assert len(text.splitlines()) <= 450
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= 70, f"{node.name} is {length} lines long"


def modules_after(statement: str) -> set[str]:
    """The top-level packages that an interpreter of its own has loaded after `statement`."""
    script = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    bare = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=bare, check=True
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_import_loads_nothing_that_it_does_not_need() -> None:
    at_start = modules_after("pass")
    assert not (modules_after("import unmbox") - at_start) & LATE


def test_the_list_of_late_modules_would_notice() -> None:
    assert {"email", "sqlite3"} <= modules_after("import unmbox, email.message, sqlite3")


def test_what_is_public_is_what_is_documented() -> None:
    text = (PROJECT / "docs" / "reference.md").read_text("utf-8")
    documented = re.findall(r"^### `([A-Za-z_]\w*)", text, re.MULTILINE)
    assert len(documented) == len(set(documented)), "a name is documented twice"
    assert set(documented) == set(unmbox.__all__) - {"__version__"}
    assert sorted(unmbox.__all__) == sorted(set(unmbox.__all__))


@pytest.mark.parametrize("name", unmbox.__all__)
def test_every_public_name_exists_and_is_described(name: str) -> None:
    public = getattr(unmbox, name)
    assert public.__doc__ or not callable(public)


def test_there_are_at_most_five_errors_and_each_is_a_builtin_too() -> None:
    below = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, BaseException) and value is not errors.UnmboxError
    ]
    assert 1 <= len(below) <= 4
    for error in below:
        assert issubclass(error, errors.UnmboxError)
        assert any(base.__module__ == "builtins" and base is not Exception for base in error.__bases__)


def project_files() -> list[Path]:
    """Every text file of the project; what tools leave lying about is hidden, or not text."""
    folders = ("src", "tests", "docs", "examples", "benchmarks")
    found = [*PROJECT.iterdir(), *(PROJECT / ".ci").iterdir()]
    for folder in folders:
        found += (
            path
            for path in (PROJECT / folder).rglob("*")
            if not any(part.startswith((".", "__pycache__")) for part in path.relative_to(PROJECT).parts)
        )
    return [
        path
        for path in found
        if path.is_file()
        and path.suffix not in {".mbox", ".png"}
        and not path.name.startswith(".coverage")
        and path.name != ".git"
    ]


def test_no_file_names_a_path_of_a_machine() -> None:
    # Places where people and machines keep checkouts, and the very ones of this run.
    kept = re.compile(r"(?<![\w.~])/(?:root|home|Users|work|farm|tmp/venv)\b")
    here = {str(PROJECT), str(PROJECT.parent), str(Path.home()), sys.prefix}
    here = {place for place in here if place.count(os.sep) > 1}
    found = [
        f"{path.relative_to(PROJECT)}:{number}: {line.strip()}"
        for path in project_files()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if kept.search(line) or any(place in line for place in here)
    ]
    assert not found


@by_module
def test_no_sql_numbers_its_parameters(module: Path) -> None:
    # Python 3.12.0 and 3.12.1 warn of `?1` where the values come as a sequence.
    assert not re.search(r"[=<>(, ]\?\d", module.read_text("utf-8"))
