"""No text from outside begins a line of our log files."""

from __future__ import annotations

import io
import logging
import re

import pytest

from doubleloop.base import logs
from doubleloop.gateway import __main__ as gateway
from doubleloop.main import __main__ as processes

ENTRY = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|WARNING|ERROR) [\w.]+: ")
FORGED = "2026-11-27 06:00:00,000 ERROR doubleloop.api: everything was deleted by grace"
BREAKS = ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\x1b[2K\r"]


@pytest.mark.parametrize("end", BREAKS)
def test_a_name_with_a_line_break_forges_no_entry(end: str) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.OneLine(logs.FORMAT))
    log = logging.Logger("doubleloop.test", logging.INFO)
    log.addHandler(handler)
    log.warning("%s could not be reached", f"bikes{end}{FORGED}")
    try:
        raise ValueError(f"no such thing: x{end}{FORGED}")
    except ValueError:
        log.exception("a look at %s failed", f"x{end}{FORGED}", stack_info=True)
    lines = stream.getvalue().splitlines()
    assert len([line for line in lines if ENTRY.match(line)]) == 2, lines
    assert all(ENTRY.match(line) or line.startswith("    ") for line in lines), lines
    assert any("ValueError: no such thing: x" in line for line in lines)


def test_what_can_be_printed_stays_as_it_is() -> None:
    assert logs.escaped("größer 北京 \N{BICYCLE} 'x' \\n") == "größer 北京 \N{BICYCLE} 'x' \\n"
    assert logs.escaped("a\nb\x1b\ud800") == "a\\nb\\x1b\\ud800"


@pytest.mark.parametrize("entry", [gateway, processes])
def test_every_process_of_ours_writes_such_lines(entry: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The root logger is set up by each of them, and so is everything below it."""
    made: list[str] = []
    monkeypatch.setattr(logs, "to_stderr", lambda: made.append("yes"))
    monkeypatch.setattr("sys.argv", ["doubleloop", "nothing"])
    with pytest.raises((SystemExit, RuntimeError)):
        if entry is processes:
            raise SystemExit(processes.main())
        monkeypatch.setattr(gateway, "_run", lambda *_: None)
        monkeypatch.setattr(gateway.uvloop, "run", lambda _: (_ for _ in ()).throw(RuntimeError("far enough")))
        gateway.main(["--home", "/nowhere"])
    assert made == ["yes"]
