"""What the rest of the house needs of a tracking server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Registered:
    """A model version as the tracking server knows it; ``created_ms`` is milliseconds since 1970.

    ``number`` is the server's own; ``version`` the same, unless who registered it chose another name for it.
    """

    name: str
    version: str
    run_id: str | None
    source: str
    created_ms: int
    status: str
    number: str
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class About:
    """What who registers says of a version. ``version``: what it shall be called, None for the next number."""

    version: str | None = None
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)


def number_of(version: str | None) -> int | None:
    """The number that a chosen version is as it is written, where a tracking server can count with it."""
    if version is None or not (version.isascii() and version.isdigit()) or len(version) > 10:
        return None
    number = int(version)
    return number if str(number) == version and 0 < number < 2**31 else None


NOTHING = About()


class Tracking(Protocol):
    """Every method may raise Unavailable; then nothing is known to have happened and it may be called again.

    Runs and registrations belong to a workspace, and are found in theirs alone; versions of models are counted over all
    workspaces, so that name and number say which one is meant.
    """

    def of(self, workspace: str | None) -> Tracking:
        """The same server, in ``workspace``; None is the registry, where one begins."""

    def prepare(self) -> str:
        """See to it that the server has a place for the workspace; returns what it is called there."""

    def create_run(self, experiment: str, name: str, tags: Mapping[str, str], user: str) -> str:
        """A new run in ``experiment`` (made if absent); returns its id."""

    def find_run(self, experiment: str, tag: str, value: str) -> str | None:
        """The id of a run with this tag, so that a repeated step finds what it made before."""

    def end_run(self, run_id: str, status: str) -> None:
        """``status``: FINISHED, FAILED or KILLED. Ending twice is harmless."""

    def experiment_id(self, experiment: str) -> str: ...

    def metrics(self, run_id: str) -> dict[str, float]: ...

    def metric_history(self, run_id: str, key: str) -> list[tuple[int, float]]:
        """Every value that was logged as (step, value), in the order of logging."""

    def log_metric(self, run_id: str, key: str, value: float) -> None: ...

    def params(self, run_id: str) -> dict[str, str]: ...

    def tags(self, run_id: str) -> dict[str, str]: ...

    def set_tag(self, run_id: str, key: str, value: str) -> None: ...

    def registered(self, since_ms: int = 0) -> list[Registered]:
        """Versions of every workspace created at or after ``since_ms``, oldest first."""

    def registered_version(self, name: str, number: str) -> Registered | None:
        """In whichever workspace it is."""

    def files_of(self, name: str, number: str) -> Path:
        """The local folder of a version's model files. Raises NotFound."""

    def register(self, name: str, folder: Path, run_id: str | None, key: str, about: About = NOTHING) -> str:
        """Register the files of ``folder`` as a new version and return its number; equal keys register once.

        The number is the version that ``about`` wishes for, where that is a number that is free.
        """

    def set_version_tag(self, name: str, number: str, key: str, value: str) -> None: ...
