"""JSON whose parts know the line that they are written in."""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Iterator
from typing import Any

from doubleloop.base import errors

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


class Text:
    """The text of a file, and the lines of places in it. Raises InvalidInput for a file that is not UTF-8."""

    def __init__(self, file: str, content: bytes) -> None:
        self.file = file
        try:
            self.text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            raise errors.InvalidInput(
                "The file is not UTF-8 text", where=errors.Where(file, line), cure="Save it as UTF-8."
            ) from None
        self._ends = [found.end() for found in re.finditer("\n", self.text)]

    def line(self, offset: int) -> int:
        return bisect.bisect_right(self._ends, offset) + 1

    def at(self, line: int) -> errors.Where:
        return errors.Where(self.file, line)

    def json(self, text: str, line: int) -> Any:
        """One line of JSON. Raises InvalidInput."""
        try:
            return json.loads(text)
        except ValueError as error:
            raise self._broken(error, line) from None

    def _broken(self, error: ValueError, line: int | None = None) -> errors.InvalidInput:
        place = line if line is not None else getattr(error, "lineno", 0)
        return errors.InvalidInput(f"The file is not JSON: {getattr(error, 'msg', error)}", where=self.at(place))

    def elements(self) -> list[tuple[int, Any]]:
        """(line, element) of an array. Raises InvalidInput for anything else."""
        return list(self._array(self._skip(0)))

    def members(self) -> dict[str, Any]:
        """The members of an object; those that are arrays as lists of (line, element). Raises InvalidInput."""
        at, found = self._expect(self._skip(0), "{"), {}
        while not self._is(at, "}"):
            name, at = self._value(at)
            at = self._expect(at, ":")
            if self._is(at, "["):
                items = list(self._array(at))
                found[str(name)] = items
                at = self._after
            else:
                found[str(name)], at = self._value(at)
            at = self._next(at, "}")
        return found

    def _array(self, at: int) -> Iterator[tuple[int, Any]]:
        at = self._expect(at, "[")
        while not self._is(at, "]"):
            line = self.line(at)
            value, at = self._value(at)
            yield line, value
            at = self._next(at, "]")
        self._after = self._skip(at + 1)

    def _skip(self, at: int) -> int:
        found = _SPACE.match(self.text, at)
        assert found is not None  # it matches nothing as well
        return found.end()

    def _is(self, at: int, sign: str) -> bool:
        return self.text.startswith(sign, at)

    def _expect(self, at: int, sign: str) -> int:
        if not self._is(at, sign):
            raise errors.InvalidInput(
                f"'{sign}' is missing", where=self.at(self.line(at)), cure="Is it another format?"
            )
        return self._skip(at + 1)

    def _next(self, at: int, end: str) -> int:
        """Behind a comma, or at the end."""
        if self._is(at, end):
            return at
        return self._expect(at, ",")

    def _value(self, at: int) -> tuple[Any, int]:
        try:
            value, end = _DECODER.raw_decode(self.text, at)
        except (ValueError, RecursionError) as error:
            raise self._broken(
                error if isinstance(error, ValueError) else ValueError("it is nested too deeply")
            ) from None
        return value, self._skip(end)
