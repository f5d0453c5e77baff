"""The record as a file: JSON lines that can be proved elsewhere, or CSV for people; read piece by piece."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from doubleloop.base import actors, clock, exports, record
from doubleloop.db.context import Contexts
from doubleloop.events import model, signing, store

BATCH = 500
COLUMNS = (
    "seq", "at", "actor", "outcome", "type", "workspace", "subject", "reason", "personas", "roles", "actions",
    "address", "door", "login", "token", "via", "agent", "data", "context", "previous", "hash",
)  # fmt: skip
# A spreadsheet takes a cell that begins with one of these for a formula (OWASP, CSV injection).
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def rows(
    contexts: Contexts, actor: actors.Actor, query: model.Query, upto: int, after: int = 0
) -> Iterator[dict[str, Any]]:
    """Facts up to number ``upto``, oldest first, as they are stored; a short transaction for each piece."""
    while True:
        with contexts.read(actor) as ctx:
            found = [dict(row._mapping) for row in store.written(ctx, after, BATCH, query, upto)]
        yield from found
        if len(found) < BATCH:
            return
        after = found[-1]["seq"]


def json_lines(contexts: Contexts, actor: actors.Actor, query: model.Query, upto: int) -> Iterator[str]:
    with contexts.read(actor) as ctx:
        cuts = store.cuts(ctx)
        after = [cuts[-1].seq, cuts[-1].hash] if cuts else [0, model.GENESIS]
        told = {
            "at": clock.iso(ctx.now), "by": actor.id, "whole": query == model.Query(), "asked": asked(query),
            "after": after,
        }  # fmt: skip
        public = signing.public_key(ctx)
    yield from exports.lines(rows(contexts, actor, query, upto), told, public, signer(contexts, actor))


def signer(contexts: Contexts, actor: actors.Actor) -> Callable[[str], str]:
    def sign(text: str) -> str:
        with contexts.read(actor) as ctx:
            return signing.sign(ctx, record.EXPORT, json.loads(text))

    return sign


def asked(query: model.Query) -> dict[str, Any]:
    found = {key: value for key, value in asdict(query).items() if value is not None and value != ()}
    return {key: clock.iso(value) if isinstance(value, datetime) else value for key, value in found.items()}


def as_csv(contexts: Contexts, actor: actors.Actor, query: model.Query, upto: int) -> Iterator[str]:
    """RFC 4180 with a heading. A cell that a spreadsheet would take for a formula gets an apostrophe in front."""
    yield _csv(COLUMNS)
    for row in rows(contexts, actor, query, upto):
        yield _csv([_safe(value) for value in _cells(row)])


def _cells(row: Mapping[str, Any]) -> Iterator[Any]:
    data, context = json.loads(row["data"]), json.loads(row["context"] or "{}")
    fact = model.Fact(**{**row, "data": data, "context": context})
    permitted = [each["action"] for each in context.get("permitted", [])]
    told = {
        **context, **row, "outcome": fact.outcome, "reason": fact.reason, "actions": permitted,
        "context": row["context"] or "",
    }  # fmt: skip
    for name in COLUMNS:
        value = told.get(name)
        yield " ".join(value) if isinstance(value, list) else value


def _safe(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def _csv(cells: Sequence[Any]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()
