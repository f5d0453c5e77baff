"""Archiving: what is older goes into a sealed file of the home folder and leaves the table."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from doubleloop.base import actors, canonical, clock, errors, exports, record, signing
from doubleloop.db.context import Contexts, Ctx
from doubleloop.events import commands, exporting, model, store
from doubleloop.events import signing as own
from doubleloop.settings.model import Settings

ARCHIVED = "audit.archived"


def folder(ctx: Ctx) -> Path:
    return ctx.port(Settings).home / "audit" / "archive"


def said(cut: model.Cut) -> dict[str, Any]:
    """What is signed of a cut."""
    return {
        "at": clock.iso(cut.at), "file": cut.file, "first": cut.first, "hash": cut.hash, "seq": cut.seq,
        "sha256": cut.sha256,
    }  # fmt: skip


def confirm(cuts: dict[int, model.Cut], row: Mapping[str, Any]) -> None:
    """Cross off the cut that a fact of the record tells of."""
    for seq, cut in list(cuts.items()):
        if canonical.dumps(said(cut)) == row["data"]:
            del cuts[seq]


def archive(contexts: Contexts, actor: actors.Actor, before: datetime) -> model.Cut | None:
    """Archive what happened before ``before``; None when there is nothing. Whoever calls has permitted it.

    What rules have not read yet stays. Raises Conflict, and removes nothing, when what would go is not as it was
    sealed, or another archives at this time.
    """
    with contexts.read(actor) as ctx:
        found = _span(ctx, before)
        if found is None:
            return None
        first, start, seq, digest = found
        path = folder(ctx) / f"facts-{first:012d}-{seq:012d}.jsonl"
        told = {
            "at": clock.iso(ctx.now), "by": actor.id, "whole": True, "asked": {}, "after": [first - 1, start],
        }  # fmt: skip
        public = own.public_key(ctx)
    content = exports.lines(
        exporting.rows(contexts, actor, model.Query(), seq, first - 1), told, public, exporting.signer(contexts, actor)
    )  # fmt: skip
    sha256 = _write(path, content, public)
    with contexts.write(actor) as ctx:
        if _start(ctx) != (first - 1, start) or store.seal_of(ctx, seq) != digest:
            raise errors.Conflict("The record was archived by another at the same time", cure="Ask again.")
        bare = model.Cut(seq, digest, first, ctx.now, path.name, sha256, signing.key_id(public), "")
        cut = dataclasses.replace(bare, signature=own.sign(ctx, record.CUT, said(bare)))
        store.cut(ctx, cut)
        commands.record(ctx, ARCHIVED, "audit:record", **said(cut))
    return cut


def _start(ctx: Ctx) -> tuple[int, str]:
    cuts = store.cuts(ctx)
    return (cuts[-1].seq, cuts[-1].hash) if cuts else (0, model.GENESIS)


def _span(ctx: Ctx, before: datetime) -> tuple[int, str, int, str] | None:
    """First number, the seal before it, last number and its seal; None when nothing is to go."""
    start, start_hash = _start(ctx)
    found = store.last_before(ctx, before)
    if found is None:
        return None
    seq, digest = found
    read = store.slowest_cursor(ctx)
    if read is not None and read < seq:
        seq, digest = read, store.seal_of(ctx, read) or ""
    return (start + 1, start_hash, seq, digest) if seq > start and digest else None


def _write(path: Path, lines: Iterable[str], public: str) -> str:
    """Write the file and prove it, before anything is removed; returns its SHA-256. Raises Conflict."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside, digest = path.with_suffix(".incoming"), hashlib.sha256()
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        for line in lines:
            file.write(line)
            digest.update(line.encode())
        file.flush()
        os.fsync(file.fileno())
    with beside.open(encoding="utf-8", newline="\n") as file:
        report = exports.verify(file, public=public)
    if report.line:
        beside.unlink()
        raise errors.Conflict(
            f"The record does not hold, so nothing was archived: {report.why}",
            cure="`doubleloop audit verify` says more.",
        )
    beside.rename(path)
    return digest.hexdigest()


def archive_expired(contexts: Contexts, actor: actors.Actor) -> model.Cut | None:
    """Archive what is older than the settings keep; they keep everything unless they say otherwise."""
    with contexts.read(actor) as ctx:
        days = ctx.port(Settings).audit_keep_days
        before = ctx.now - timedelta(days=days)
    return archive(contexts, actor, before) if days > 0 else None
