"""The error tree. It fits on a page on purpose: one class per thing a caller can do about it.

Every error says what is wrong, where (file and line when it comes from a file) and the cure.
``status`` is the HTTP status the API answers with, ``exit_code`` what the command line exits with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Where:
    """A place in something that a person wrote. ``line`` counts from 1; 0 means the whole file."""

    file: str
    line: int = 0
    path: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place} ({self.path})" if self.path else place


class DoubleloopError(Exception):
    """Base of every error a person may see."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: Where | None = None, cure: str = "", details: Any = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.cure = cure
        self.details = details

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.cure:
            parts.append(self.cure)
        return "\n  ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        body: dict[str, Any] = {"code": self.code, "message": self.what}
        if self.where:
            body["where"] = {"file": self.where.file, "line": self.where.line, "path": self.where.path}
        if self.cure:
            body["cure"] = self.cure
        if self.details is not None:
            body["details"] = self.details
        return {"error": body}


def one_line(text: str) -> str:
    """``text`` with line breaks and other control characters shown, not made."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


class InvalidInput(DoubleloopError):
    """What was written or sent cannot be right (unknown field, wrong type, a cycle).

    ``what`` is one line, whatever is repeated in it of what was written.
    """

    code, status, exit_code = "invalid_input", 400, 2

    def __init__(self, what: str, *, where: Where | None = None, cure: str = "", details: Any = None) -> None:
        super().__init__(one_line(what), where=where, cure=cure, details=details)


class NotAuthenticated(DoubleloopError):
    code, status, exit_code = "not_authenticated", 401, 4


class NotPermitted(DoubleloopError):
    """Known caller, but no assignment allows the action."""

    code, status, exit_code = "not_permitted", 403, 4


class NotFound(DoubleloopError):
    code, status, exit_code = "not_found", 404, 3


class Conflict(DoubleloopError):
    """The thing exists already, was decided already, or somebody else is changing it."""

    code, status, exit_code = "conflict", 409, 5


class TooLarge(DoubleloopError):
    code, status, exit_code = "too_large", 413, 2


class NotSupported(DoubleloopError):
    """Understood, but refused here; ``cure`` says what to use instead."""

    code, status, exit_code = "not_supported", 422, 2


class Unavailable(DoubleloopError):
    """A part of the system, or a source it needs, does not answer now; trying again may help."""

    code, status, exit_code = "unavailable", 503, 6


class TooManyTries(DoubleloopError):
    """Wrong passwords: the next try has to wait ``seconds``."""

    code, status, exit_code = "too_many_tries", 429, 4

    def __init__(self, what: int | str, **more: Any) -> None:
        self.seconds = what if isinstance(what, int) else 0
        words = f"Too many wrong passwords. Try again in {what} s" if isinstance(what, int) else what
        super().__init__(words, **more)


class Failed(DoubleloopError):
    """Work that was started came to a bad end (a job, an environment build, a release)."""

    code, status, exit_code = "failed", 500, 1


BY_CODE: dict[str, type[DoubleloopError]] = {
    kind.code: kind
    for kind in (InvalidInput, NotAuthenticated, NotPermitted, NotFound, Conflict, TooLarge, NotSupported,
                 Unavailable, TooManyTries, Failed)
}  # fmt: skip


def from_dict(body: dict[str, Any]) -> DoubleloopError:
    """The inverse of ``to_dict``: what the client raises when the server answered with an error."""
    error = body.get("error", {})
    where = error.get("where")
    kind = BY_CODE.get(error.get("code", ""), DoubleloopError)
    return kind(
        error.get("message", "unknown error"),
        where=Where(where["file"], where.get("line", 0), where.get("path", "")) if where else None,
        cure=error.get("cure", ""),
        details=error.get("details"),
    )
