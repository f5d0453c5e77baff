"""Which commit of which repository a folder of code is: told by git itself, when it is there."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from doubleloop.specs import sources

SECONDS = 5.0
_TOGETHER = re.compile(r"^co-authored-by:\s*(.+?)\s*<([^>]+)>\s*$", re.IGNORECASE | re.MULTILINE)
# Nothing that a repository's own settings name is run.
_SETTINGS = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "log.showSignature=false")


def of(folders: Iterable[Path]) -> tuple[sources.Commit, ...]:
    """One for each repository that the folders (or files) are in, in order; nothing for what is in none."""
    found: dict[str, list[Path]] = {}
    for folder in folders:
        place = folder if folder.is_dir() else folder.parent
        top = _git(place, "rev-parse", "--show-toplevel")
        if top:
            found.setdefault(top.strip(), []).append(folder)
    commits = (_commit(Path(top), inside) for top, inside in found.items())
    return tuple(each for each in commits if each is not None)


def _commit(top: Path, inside: list[Path]) -> sources.Commit | None:
    told = _git(top, "log", "-1", "--format=%H%x00%an%x00%ae%x00%cn%x00%ce%x00%B")
    parts = (told or "").split("\0", 5)
    if len(parts) != 6:
        return None  # a repository without a commit
    hash_, author, author_mail, committer, committer_mail, message = parts
    people = [(author, author_mail), (committer, committer_mail), *_TOGETHER.findall(message)]
    changed = bool((_git(top, "status", "--porcelain", "--", *map(str, inside)) or "").strip())
    return sources.Commit(
        hash_, _address(_git(top, "config", "--get", "remote.origin.url") or ""),
        (_git(top, "rev-parse", "--abbrev-ref", "HEAD") or "").strip(), changed,
        tuple(dict.fromkeys(people))[: sources.MAX_PEOPLE],
    )  # fmt: skip


def _address(url: str) -> str:
    """Without the name and password that an address may hold."""
    parts = urlsplit(url.strip())
    if not parts.scheme or "@" not in parts.netloc:
        return url.strip()
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _git(place: Path, *words: str) -> str | None:
    environ = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            ["git", "-C", str(place), *_SETTINGS, *words], env=environ, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
