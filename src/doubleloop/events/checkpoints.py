"""Signing the head of the log, again and again, and keeping each signature in a second place.

Who can change the database can compute seals anew; who has not the key of the home folder cannot sign them.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from doubleloop.base import actors, canonical, errors, record
from doubleloop.db.context import Contexts, Ctx
from doubleloop.events import signing, store
from doubleloop.settings.model import Settings


def ledger(ctx: Ctx) -> Path:
    """The file beside the database that every checkpoint is appended to."""
    settings = ctx.port(Settings)
    return Path(settings.audit_ledger) if settings.audit_ledger else settings.home / "audit" / "checkpoints.jsonl"


def is_due(ctx: Ctx) -> bool:
    """Whether enough facts, or time, lie between the last checkpoint and the head."""
    seq, _ = store.head(ctx)
    last = store.last_checkpoint(ctx)
    unsigned = seq - (last.seq if last else 0)
    settings = ctx.port(Settings)
    over = last is None or ctx.now - last.at >= timedelta(seconds=settings.audit_checkpoint_seconds)
    return unsigned > 0 and (over or unsigned >= settings.audit_checkpoint_facts)


def make(ctx: Ctx) -> record.Checkpoint:
    """Sign the head as it is; the same one again when nothing has happened since. Raises NotFound for an empty log."""
    seq, digest = store.head(ctx)
    last = store.last_checkpoint(ctx)
    if last is not None and last.seq == seq:
        return last
    if seq == 0:
        raise errors.NotFound("There is nothing on record yet")
    made = signing.checkpoint(ctx, seq, digest)
    store.add_checkpoint(ctx, made)
    return made


def keep(contexts: Contexts, actor: actors.Actor, *, always: bool = False) -> record.Checkpoint | None:
    """Make a checkpoint when one is due (or ``always``), and write to the ledger what it lacks."""
    with contexts.read(actor) as ctx:
        if not (always or is_due(ctx)):
            return None
        path = ledger(ctx)
    with contexts.write(actor) as ctx:
        made = make(ctx)
    with contexts.read(actor) as ctx:
        append(path, (each for each in store.checkpoints(ctx, after=_last(path))))
    return made


def _last(path: Path) -> int:
    """The number of the newest checkpoint in the file; 0 when there is none. A line that was cut short is not one."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 4096))
            lines = file.read().splitlines()
    except FileNotFoundError:
        return 0
    for line in reversed(lines):
        try:
            return int(json.loads(line)["seq"])
        except (ValueError, KeyError, TypeError):
            continue
    return 0


def append(path: Path, made: Iterable[record.Checkpoint]) -> None:
    """Add lines to the end of the file, and to nothing else in it; on the disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        there = _last(path)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        torn = size > 0 and file.read(1) != b"\n"
        lines = [canonical.dumps(each.to_dict()) + "\n" for each in made if each.seq > there]
        if lines:
            file.write((("\n" if torn else "") + "".join(lines)).encode())
            file.flush()
            os.fsync(file.fileno())


def read_ledger(path: Path) -> list[record.Checkpoint]:
    """All that can be read; a line that a crash cut short is passed over. Raises InvalidInput for any other."""
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return []
    whole = "\n".join(line for line in text.splitlines() if line.rstrip().endswith("}"))
    return record.checkpoints(whole, str(path))
