"""Environment specs, locks, interpreters and built environments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from doubleloop.base import canonical, errors

DEFAULT_PYTHON = "3.11"  # when nothing says which; the version the control plane itself is made for
LAYOUT = 1  # how environments are laid out; part of every digest, so that a new layout is a new environment

_NAME = re.compile(r"^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?=\s*(?:$|[\[<>=!~;,( @]))")


def normal_name(name: str) -> str:
    """A package name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass(frozen=True)
class Requirement:
    """One line of pip syntax and where it was written; ``line`` counts from 1."""

    text: str
    line: int = 0
    file: str = ""

    @property
    def where(self) -> errors.Where:
        return errors.Where(self.file, self.line)

    @property
    def name(self) -> str:
        """The normalised package name; empty when the line does not begin with one (a URL, a path, an option)."""
        match = _NAME.match(self.text)
        return normal_name(match[0]) if match else ""


@dataclass(frozen=True)
class CondaSpec:
    """What an environment is to contain.

    ``python`` is a pin (``3.11``, ``3.8.5``), a range (``>=3.8,<3.11``) or empty for the default. ``options`` are index
    options in the syntax of requirements files. ``notices`` say what was read and not taken as it stands.
    """

    python: str = ""
    requirements: tuple[Requirement, ...] = ()
    channels: tuple[str, ...] = ()
    constraints: tuple[Requirement, ...] = ()
    options: tuple[Requirement, ...] = ()
    prereleases: bool = False
    name: str = ""
    notices: tuple[str, ...] = ()
    python_where: errors.Where | None = None


class Action(StrEnum):
    DROP = "drop"
    REPLACE = "replace"


@dataclass(frozen=True)
class Substitution:
    """A workspace's answer to a requirement that it cannot or will not have. ``match`` is a glob (``*``, ``?``)."""

    match: str
    action: Action
    replacement: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Interpreter:
    """A Python on this machine. ``version`` is complete (``3.11.7``)."""

    version: str
    path: Path

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])

    @property
    def order(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split("."))


@dataclass(frozen=True)
class Lock:
    """Every package of an environment with its exact version, sorted; ``python`` is a minor version.

    Equal locks give equal environments, so ``digest`` (SHA-256 of the canonical content) is the environment's name.
    """

    python: str
    requirements: tuple[str, ...]
    platform: str
    options: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        content = {"layout": LAYOUT, "python": self.python, "platform": self.platform}
        return canonical.sha256({**content, "requirements": list(self.requirements), "options": list(self.options)})

    def version(self, package: str) -> str | None:
        """The pinned version of a package, or None."""
        wanted = normal_name(package)
        pins = (pin.split("==", 1) for pin in self.requirements)
        return next((version for name, version in pins if normal_name(name) == wanted), None)

    def to_dict(self) -> dict[str, Any]:
        return {
            "python": self.python,
            "requirements": list(self.requirements),
            "platform": self.platform,
            "options": list(self.options),
            "notices": list(self.notices),
            "digest": self.digest,
        }

    @staticmethod
    def from_dict(body: Mapping[str, Any]) -> Lock:
        """Raises ValueError when the content does not have the digest that it claims."""
        options, notices = tuple(body.get("options", ())), tuple(body.get("notices", ()))
        lock = Lock(body["python"], tuple(body["requirements"]), body["platform"], options, notices)
        if body.get("digest", lock.digest) != lock.digest:
            raise ValueError(f"the lock claims digest {body['digest']} and has {lock.digest}")
        return lock


@dataclass(frozen=True)
class Built:
    """A complete environment on this machine. ``reused`` tells that nothing had to be built; ``seconds`` it took."""

    path: Path
    python: Path
    digest: str
    reused: bool = False
    seconds: float = 0.0
