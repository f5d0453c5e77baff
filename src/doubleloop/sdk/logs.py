"""The logs of a job's steps, as they grow."""

from __future__ import annotations

from collections.abc import Callable

from doubleloop.base import errors
from doubleloop.sdk import jobs, routes


class JobLogs:
    """Copies the logs of all steps of a job to ``write`` as they grow; several steps are told apart by their name."""

    def __init__(self, routes_: jobs.Jobs, id_: str, write: Callable[[str], object]) -> None:
        self._jobs, self._id, self._write = routes_, id_, write
        self._offsets: dict[str, int] = {}
        self._ended: set[str] = set()
        self._halves: dict[str, bytes] = {}
        self._states: dict[str, str] = {}

    def look(self) -> bool:
        """Copy what is new; whether anything was."""
        steps = self._jobs.steps(self._id)
        moved = False
        for step in steps:
            name = str(step["name"])
            ended = step["status"] in jobs.ENDED
            if not ended:
                moved |= self._state(step, len(steps) > 1)
            if step["status"] not in ("queued", "skipped") and name not in self._ended:
                moved |= self._copy(name, len(steps) > 1)
            if ended:  # said after the last words of its log
                moved |= self._state(step, len(steps) > 1)
        return moved

    def _state(self, step: routes.Body, several: bool) -> bool:
        name, status = str(step["name"]), str(step["status"])
        if self._states.get(name, "queued") == status:
            return False
        self._states[name] = status
        if several:
            why = f": {step['reason']}" if step.get("reason") else ""
            reused = f" (reused from {step['reused_from']})" if step.get("reused_from") else ""
            self._write(f"[{name}] {status}{reused}{why}\n")
        return True

    def _copy(self, name: str, several: bool) -> bool:
        moved = False
        while True:
            try:
                part = self._jobs.log(self._id, name, self._offsets.get(name, 0))
            except errors.NotFound:  # A step that ended before it had a log.
                return moved
            moved |= bool(part.content)
            self._offsets[name] = part.next_offset
            whole, newline, half = (self._halves.pop(name, b"") + part.content).rpartition(b"\n")
            if part.end and not part.content:
                self._ended.add(name)
                whole, newline, half = whole + newline + half, b"\n" if half else newline, b""
            if half:
                self._halves[name] = half
            self._lines(whole + newline if whole or newline else b"", f"[{name}] " if several else "")
            if not part.content:
                return moved

    def _lines(self, content: bytes, prefix: str) -> None:
        if content:
            text = content.decode(errors="replace")
            self._write("".join(prefix + line + "\n" for line in text.removesuffix("\n").split("\n")))
