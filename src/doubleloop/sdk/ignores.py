"""Which files of a folder are left behind: ``.amlignore``, or without one ``.gitignore``, in git's own grammar.

Grammar: https://git-scm.com/docs/gitignore (PATTERN FORMAT). As ``az ml`` does, only the file at the folder's root is
read, and ``.gitignore`` only when there is no ``.amlignore``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from doubleloop.base import errors

# Never part of anybody's code: it changes without the code having changed.
ALWAYS = (".git/", "__pycache__/", ".ipynb_checkpoints/", ".DS_Store", ".amlignore", ".gitignore")


@dataclass(frozen=True)
class Rule:
    """One line: what it matches, whether it takes back (``!``), whether it is for folders alone."""

    pattern: re.Pattern[str]
    negated: bool
    folders_only: bool


@dataclass(frozen=True)
class Ignores:
    rules: tuple[Rule, ...] = ()

    def skips(self, path: str, is_folder: bool) -> bool:
        """Whether ``path`` (POSIX, relative to the folder) is left out. Ask for a folder before what is in it:
        below one that is skipped nothing can be taken back."""
        verdict = False
        for rule in self.rules:
            if (is_folder or not rule.folders_only) and rule.pattern.fullmatch(path):
                verdict = not rule.negated
        return verdict


def read(folder: Path, *, code: bool) -> Ignores:
    """The rules of ``folder``. Folders that are not code (data, models) heed ``.amlignore`` alone."""
    lines = list(ALWAYS) if code else [".amlignore"]
    for name in (".amlignore", ".gitignore") if code else (".amlignore",):
        file = folder / name
        if file.is_file():
            try:
                return parse([*lines, *file.read_text().splitlines()])
            except UnicodeDecodeError as error:
                raise errors.InvalidInput(
                    f"{file} is not text: {error}", where=errors.Where(str(file)), cure="Save it as plain UTF-8."
                ) from error
    return parse(lines)


def parse(lines: list[str]) -> Ignores:
    return Ignores(tuple(rule for line in lines if (rule := _rule(line)) is not None))


def _rule(line: str) -> Rule | None:
    text = line.rstrip("\r\n")
    while text.endswith(" ") and not text.endswith("\\ "):
        text = text[:-1]
    if not text or text.startswith("#"):
        return None
    negated = text.startswith("!")
    text = text[1:] if negated else text
    folders_only = text.endswith("/")
    text = text[:-1] if folders_only else text
    anchored = "/" in text
    text = text.removeprefix("/")
    if not text:
        return None
    pattern = _translate(text)
    if pattern is None:
        return None
    return Rule(re.compile(pattern if anchored else f"(?:.*/)?{pattern}", re.DOTALL), negated, folders_only)


def _translate(glob: str) -> str | None:
    """A glob as a regular expression; None when it can match nothing (an open bracket, a backslash at the end)."""
    out, i = "", 0
    while i < len(glob):
        rest = glob[i:]
        if rest.startswith("**/") and (i == 0 or glob[i - 1] == "/"):
            out, i = out + "(?:[^/]+/)*", i + 3
        elif rest == "**" and i > 0 and glob[i - 1] == "/":
            out, i = out + ".+", i + 2
        elif rest[0] == "*":
            out, i = out + "[^/]*", i + len(rest) - len(rest.lstrip("*"))
        elif rest[0] == "?":
            out, i = out + "[^/]", i + 1
        elif rest[0] == "[":
            found = _bracket(rest)
            if found is None:
                return None
            out, i = out + found[0], i + found[1]
        elif rest[0] == "\\":
            if len(rest) == 1:
                return None
            out, i = out + re.escape(rest[1]), i + 2
        else:
            out, i = out + re.escape(rest[0]), i + 1
    return out


def _bracket(text: str) -> tuple[str, int] | None:
    """``[a-z]`` or ``[!a]`` at the start of ``text`` as a regular expression, and its length."""
    start = 2 if text[1:2] in ("!", "^") else 1
    end = text.find("]", start + 1)
    if end < 0:
        return None
    body = re.sub(r"([\[\]&~|^\\])", r"\\\1", text[start:end])
    try:
        re.compile(f"[{body}]")
    except re.error:
        return None
    return f"(?!/)[{'^' if start == 2 else ''}{body}]", end + 1
