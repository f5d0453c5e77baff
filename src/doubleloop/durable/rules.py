"""Whether a workflow that something waits for is at work, and what to do when it is not: pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# A workflow that is started again is another one to the engine; rooms know both by the first one's id.
_AGAIN = "~again"


class Cure(StrEnum):
    NONE = "none"
    RESTART = "restart"
    GIVE_UP = "give up"


@dataclass(frozen=True)
class Fate:
    """What the engine knows of a workflow. ``dead``: its body ended by an error, or it was taken out."""

    dead: bool
    error: str = ""


def second(workflow_id: str) -> str:
    """The engine's id of the workflow that goes on when ``workflow_id`` has died."""
    return f"{workflow_id}{_AGAIN}"


def first(workflow_id: str) -> str:
    """The id that rooms know a workflow of the engine by."""
    return workflow_id.removesuffix(_AGAIN)


def cure(before: Fate | None, after: Fate | None) -> Cure:
    """``before`` is the workflow that was asked for, ``after`` the one that went on for it; None: there is none.

    One that ended well has told its end, or is about to: it is left alone.
    """
    if after is not None:
        return Cure.GIVE_UP if after.dead else Cure.NONE
    return Cure.RESTART if before is None or before.dead else Cure.NONE
