"""A project, its items, and what people said of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from doubleloop.base import errors


class Status(StrEnum):
    """Of a project: ``open`` while items wait for labels, ``labelled`` while some wait for a review."""

    OPEN = "open"
    LABELLED = "labelled"
    REVIEWED = "reviewed"
    EXPORTED = "exported"
    CLOSED = "closed"


class State(StrEnum):
    """Of an item. ``assigned`` is one that is queued and held by somebody now."""

    QUEUED = "queued"
    ASSIGNED = "assigned"
    LABELLED = "labelled"
    CONFLICTING = "conflicting"
    REVIEWED = "reviewed"
    SKIPPED = "skipped"


class Said(StrEnum):
    LABEL = "label"
    SKIP = "skip"
    UNDO = "undo"
    REVIEW = "review"


@dataclass(frozen=True)
class Project:
    """``source`` is the data version (lineage id); ``opened_by``: the rule and fact that opened it, if one did."""

    workspace: str
    name: str
    document: dict[str, Any]
    status: Status
    source: str
    output: str
    items: int
    exported: str
    opened_by: dict[str, Any]
    created_by: str
    created_at: datetime
    closed_at: datetime | None

    @property
    def id(self) -> str:
        return f"labeling:{self.workspace}/{self.name}"


@dataclass(frozen=True)
class Item:
    """``number`` counts from 1 in the order of the queue. ``content`` is the text, or the hash of the image.

    ``row`` is its row in the data (from 0), ``path`` its place in a folder. ``gold``: the known answer; such an item is
    a question among the others and no part of the result. ``score`` is what the queue put it here for.
    """

    workspace: str
    project: str
    number: int
    kind: str
    content: str
    row: int
    path: str
    prelabel: Any
    gold: Any
    score: float | None
    state: State


@dataclass(frozen=True)
class Answer:
    item: int
    user: str
    said: Said
    value: Any
    at: datetime
    seq: int = 0


@dataclass(frozen=True)
class Wanted:
    """An item that is to be made."""

    kind: str
    content: str
    row: int
    path: str = ""
    prelabel: Any = None
    gold: Any = None
    score: float | None = None


@dataclass(frozen=True)
class Incoming:
    """A label that was made elsewhere. ``by`` says what ``key`` names its item by: ``item`` (its number), ``content``
    (the text), ``words`` (the text without spaces), ``path`` (of an image) or ``stem`` (without its ending). Where
    ``decimals`` is not None, places are shares of the image's width and height, good for so many decimals of a pixel.
    ``text``: what stands in each span, where that is told."""

    where: errors.Where
    by: str
    key: str
    value: Any
    decimals: int | None = None
    text: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Agreement:
    """``kappa`` by pair of people (``ada, eve``) with the number of items both labelled; ``overlap``: mean intersection
    over union, for spans and boxes; ``gold``: {user: {"right", "asked"}}."""

    kappa: dict[str, dict[str, Any]] = field(default_factory=dict)
    alpha: float | None = None
    overlap: float | None = None
    both: int = 0
    gold: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """``states``: number of items by state, gold questions left out; ``labels``: how often each was chosen."""

    states: dict[str, int]
    people: dict[str, int]
    labels: dict[str, int]
    agreement: Agreement
