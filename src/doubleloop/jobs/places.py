"""The folder of an attempt, from its beginning to its end."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol, TypeVar

from doubleloop.jobs.model import Step
from doubleloop.settings.model import Settings

P = TypeVar("P")


class House(Protocol):
    """Anything that knows what is plugged in: a ``Ctx`` or ``Contexts``."""

    def port(self, kind: type[P]) -> P: ...


def folder(house: House, step: Step) -> Path:
    """Inputs, outputs, code and first log lines of the step's attempt; gone once everything is stored."""
    return house.port(Settings).home / "steps" / step.job / step.name / str(step.attempt)


def kept(house: House, step: Step) -> Path:
    """What later attempts of the step go on from, as long as they are to do the same."""
    return house.port(Settings).home / "steps" / step.job / step.name / f"kept-{(step.digest or '')[:16]}"


def clear(house: House, step: Step) -> None:
    shutil.rmtree(folder(house, step), ignore_errors=True)
