"""What becomes of a field: honoured, accepted without effect, or refused. Each kind keeps its own table.

A module of ``kinds`` ends with ``SUPPORT``: for each of its classes the rows of its fields. ``compat`` looks them up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Entry:
    """``why`` completes the sentence "'field' ..."; ``instead`` says what to write when it is refused."""

    status: Literal["honoured", "accepted", "refused"]
    why: str = ""
    instead: str = ""


Rows = dict[str, Entry]


def rows(
    honoured: str = "", accepted: dict[str, str] | None = None, refused: dict[str, tuple[str, str]] | None = None
) -> Rows:
    """Entries from field names in one text; ``accepted`` maps names to a reason, ``refused`` to (reason, instead)."""
    found = {name: Entry("honoured") for name in honoured.split()}
    for names, why in (accepted or {}).items():
        found |= {name: Entry("accepted", why) for name in names.split()}
    for names, (why, instead) in (refused or {}).items():
        found |= {name: Entry("refused", why, instead) for name in names.split()}
    return found


AZURE = "means something on Azure only; it has no effect here"
HOST = "has no effect here: everything runs on this machine"
SIZE = "has no effect here: there is one size of machine, this one"
NETWORK = "has no effect here: networks are set up outside"
IDENTITY = "has no effect here: jobs and endpoints act under identities of this installation"
STORE = "has no effect here: uploads go to the installation's own storage"
KEPT = "is kept and shown, and has no further effect"
DELETE = "has no effect here: assets are never deleted by themselves"
ONE_PROCESS = "has no effect here: the command is started once, as one process"
SERVICES = "has no effect here: no interactive services are started beside a job"
QUEUE = "has no effect here: jobs start in the order they come"
PIPELINE_OWNS = "has no effect in a step: the pipeline's own is used"
