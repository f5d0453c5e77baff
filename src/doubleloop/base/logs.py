"""What our own processes write into their log files: one line for an entry, whatever text from outside stands in it."""

from __future__ import annotations

import logging
from types import TracebackType

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class OneLine(logging.Formatter):
    """A message with a line break in it (a name, a header, an answer of elsewhere) must not look like an entry of its
    own: what cannot be printed is escaped, and a traceback's lines are indented."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = escaped(record.message)
        return super().formatMessage(record)

    def formatException(
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        return _indented(super().formatStack(stack_info))


def escaped(text: str) -> str:
    """Control characters, every kind of line break and half characters as Python writes them: ``\\n``, ``\\x1b``."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _indented(text: str) -> str:
    return "\n".join(f"    {escaped(line)}" for line in text.splitlines())


def to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine(FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
