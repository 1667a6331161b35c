"""The command in a real terminal: driven through tmux, and looked at as a person would."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import unmbox

TMUX = shutil.which("tmux")
pytestmark = pytest.mark.skipif(not TMUX, reason="no tmux here: apt-get install tmux")
MESSAGE = (
    b"From 1@xxx Tue Mar 19 09:13:51 +0000 2019\nX-Gmail-Labels: Inbox\nFrom: a@example.org\nSubject: Hello\n"
    b"Date: Tue, 19 Mar 2019 18:13:51 +0900\nMessage-ID: <%d@example.org>\n\nHello.\n\n"
)


class Terminal:
    """A shell in a terminal of so many columns. `unmbox` is a command in it."""

    def __init__(self, folder: Path, columns: int, **env: str) -> None:
        self._socket = folder / "tmux"
        programs = folder / "bin"
        programs.mkdir()
        script = programs / "unmbox"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m unmbox "$@"\n')
        script.chmod(0o755)
        kept = {
            name: value for name, value in os.environ.items() if name not in {"TMUX", "NO_COLOR", "COLUMNS"}
        }
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        # A path that is not whole would lead elsewhere from here.
        found = os.pathsep.join(str(Path(each).absolute()) for each in sys.path if each)
        self._env = {**kept, "PATH": path, "PYTHONPATH": found, "LC_ALL": "C.UTF-8", **env}
        self._tmux(
            "-f",
            os.devnull,
            "new-session",
            "-d",
            "-x",
            str(columns),
            "-y",
            "24",
            "-c",
            str(folder),
            "env PS1='$ ' bash --norc --noprofile",
        )
        self.wait(lambda screen: "$" in screen)

    def _tmux(self, *arguments: str) -> str:
        assert TMUX
        done = subprocess.run(
            [TMUX, "-S", str(self._socket), *arguments],
            capture_output=True,
            text=True,
            check=True,
            env=self._env,
        )
        return done.stdout

    def type(self, text: str, *keys: str) -> None:
        if text:
            self._tmux("send-keys", "-l", "--", text)
        for key in keys:
            self._tmux("send-keys", key)

    def screen(self, *, colours: bool = False) -> str:
        return self._tmux("capture-pane", "-p", *(["-e"] if colours else []))

    def wait(self, until: Callable[[str], object], seconds: float = 20) -> str:
        deadline = time.monotonic() + seconds
        while not until(screen := self.screen()):
            assert time.monotonic() < deadline, screen
            time.sleep(0.02)
        return screen

    def close(self) -> None:
        self._tmux("kill-server")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_one(columns: int = 100, **env: str) -> Terminal:
        opened.append(Terminal(tmp_path, columns, **env))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def mailbox(tmp_path: Path) -> Path:
    path = tmp_path / "All mail.mbox"
    path.write_bytes(b"".join(MESSAGE % (number // 2) for number in range(2_000)))
    return path


# A mailbox that comes slowly, so that there is something to look at.
SLOWLY = "for n in 1 2 3 4 5 6 7 8; do cat 'All mail.mbox'; sleep 0.25; done | "


def test_a_conversion_as_a_person_sees_it(terminal: Callable[..., Terminal], mailbox: Path) -> None:
    shell = terminal(110)
    shell.type(SLOWLY + "unmbox convert - eml; echo status $?", "Enter")
    bar = shell.wait(lambda screen: re.search(r"[1-9][\d,]* copies", screen))
    [drawn] = [line for line in bar.splitlines() if " messages" in line]
    assert re.search(r"<stdin> +[\d,]+ messages, [\d,]+ copies .+ [\d.]+ [kM]B, \d+ [kM]B/s", drawn)
    assert len(drawn) <= 110
    done = shell.wait(lambda screen: "status 0" in screen)
    # The bar is gone; what happened stands there.
    assert "16,000 messages" in done
    assert "1,000 written to eml, 15,000 copies left out" in " ".join(done.split())
    assert "B/s" not in done.replace(next((x for x in done.splitlines() if x.endswith("/s")), ""), "")
    assert len(list((mailbox.parent / "eml").rglob("*.eml"))) == 1_000


def test_the_interrupt_key_stops_it_in_a_sentence(terminal: Callable[..., Terminal], mailbox: Path) -> None:
    shell = terminal(80)
    shell.type("cat 'All mail.mbox' - | unmbox convert - eml", "Enter")
    shell.wait(lambda screen: re.search(r"[\d,]+ messages", screen))
    shell.type("", "C-c")
    shell.wait(lambda screen: "stopped by SIGINT" in " ".join(screen.split()))
    shell.type("echo status ${PIPESTATUS[1]}", "Enter")
    done = shell.wait(lambda screen: re.search(r"status \d", screen))
    assert "status 130" in done
    assert "stopped by SIGINT" in " ".join(done.split())
    assert "Traceback" not in done
    assert "━" not in done, "the bar was left behind"


def test_a_narrow_terminal(terminal: Callable[..., Terminal], mailbox: Path) -> None:
    shell = terminal(36)
    shell.type(SLOWLY + "unmbox inspect - > out; clear; echo first $?", "Enter")
    bar = shell.wait(lambda screen: re.search(r"[\d,]+ messages", screen))
    assert sum(" messages" in line for line in bar.splitlines()) == 1
    shell.wait(lambda screen: screen.startswith("first 0"))
    shell.type("clear; unmbox inspect 'All mail.mbox'; echo status $?", "Enter")
    done = shell.wait(lambda screen: "status 0" in screen)
    assert re.search(r"^Lines|^Charsets|^Copies", done, re.MULTILINE)
    assert max(map(len, done.splitlines())) <= 36
    assert "…" in done


def test_colours_unless_they_are_not_wanted(terminal: Callable[..., Terminal], mailbox: Path) -> None:
    coloured = re.compile(r"\x1b\[[0-9;]*(?:3[0-9]|9[0-7])[0-9;]*m")
    for number, wanted in enumerate((True, False)):
        folder = mailbox.parent / str(number)
        folder.mkdir()
        shell = Terminal(folder, 100, **({} if wanted else {"NO_COLOR": "1"}))
        try:
            shell.type(SLOWLY.replace("'All", "'../All") + "unmbox inspect - > out", "Enter")
            shell.wait(lambda screen: re.search(r"[\d,]+ messages", screen))
            assert bool(coloured.search(shell.screen(colours=True))) is wanted
        finally:
            shell.close()


def test_the_tab_key_completes(terminal: Callable[..., Terminal], mailbox: Path) -> None:
    shell = terminal(100)
    shell.type('eval "$(unmbox completion bash)"; clear', "Enter")
    shell.wait(lambda screen: screen.startswith("$\n"))
    shell.type("unmbox ins", "Tab")
    shell.wait(lambda screen: "unmbox inspect" in screen)
    shell.type("--dee", "Tab")
    shell.wait(lambda screen: "unmbox inspect --deep" in screen)
    shell.type("All", "Tab")
    shell.wait(lambda screen: "unmbox inspect --deep All\\ mail.mbox" in screen)
    shell.type("", "Enter")
    shell.wait(lambda screen: "1,000  copies, of which" in screen)


def test_what_is_mistyped(terminal: Callable[..., Terminal]) -> None:
    shell = terminal(60)
    shell.type("clear; unmbox --version; unmbox convrt", "Enter")
    screen = shell.wait(lambda screen: "says more" in screen)
    assert f"unmbox {unmbox.__version__}\n" in screen
    assert "Did you mean 'convert'?" in screen
