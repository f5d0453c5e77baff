"""Proving that nobody changed the log: every seal recomputed, every signature checked against what lies here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from doubleloop.base import canonical, clock, errors, record, signing
from doubleloop.db.context import Ctx
from doubleloop.events import archives, checkpoints, guards, model, store
from doubleloop.events import signing as own


class _Broken(Exception):
    def __init__(self, at: int, why: str) -> None:
        super().__init__(why)
        self.at, self.why = at, why


@dataclass
class _Pass:
    """How far one walk along the chain has come, and what it still has to meet."""

    seq: int
    previous: str
    expected: dict[int, list[tuple[str, str]]]
    cuts: dict[int, model.Cut] = field(default_factory=dict)

    def meet(self) -> None:
        """Compare the fact that was reached with what was signed of it. Raises _Broken."""
        for hash_, said in self.expected.pop(self.seq, ()):
            if hash_ != self.previous:
                raise _Broken(
                    self.seq, f"{said} has another seal for fact {self.seq}: the record was written anew up to there"
                )


def verify(ctx: Ctx, given: Sequence[record.Checkpoint] = (), batch: int = 1000) -> model.ChainReport:
    """Recompute every seal from the first fact (or the last cut) on, from the bytes that are stored; constant memory.

    Checkpoints of the database, of the ledger and ``given`` ones must be signed by this installation and agree with
    what is there, so an end that was cut off is missed, and a chain that was made anew is no more signed.
    """
    guarded = guards.complete(ctx)
    walk = _Pass(0, model.GENESIS, {})
    told: dict[str, Any] = {}
    try:
        signed = list(_signed(ctx, given))
        cuts = _cuts(ctx)
        start = cuts[-1] if cuts else None
        walk = _Pass(start.seq if start else 0, start.hash if start else model.GENESIS, _expected(signed))
        # Of earlier cuts the facts have been archived with the later ones.
        walk.cuts = {cut.seq: cut for cut in cuts[-1:]}
        told = {"archived": walk.seq, "checkpoints": len(signed), "signed": max((s.seq for s, _ in signed), default=0)}
        told["key"] = signing.key_id(own.public_key(ctx)) if signed or cuts else ""
        _forget_archived(walk, cuts)
        _walk(ctx, walk, batch)
        _end(ctx, walk)
    except _Broken as found:
        return model.ChainReport(walk.seq, walk.previous, found.at, found.why, guarded=guarded, **told)
    return model.ChainReport(walk.seq, walk.previous, guarded=guarded, **told)


def _signed(ctx: Ctx, given: Iterable[record.Checkpoint]) -> Iterator[tuple[record.Checkpoint, str]]:
    """Every checkpoint there is, with words for where it lies; each genuine and of this installation."""
    here = store.checkpoints(ctx)
    path = checkpoints.ledger(ctx)
    try:
        beside = checkpoints.read_ledger(path)
    except errors.InvalidInput as error:
        raise _Broken(1, f"the file of checkpoints was changed: {error}") from None
    known = {each.seq for each in here}
    everything = [
        *((each, f"the checkpoint of {clock.iso(each.at)}") for each in here),
        *((each, f"the checkpoint of {clock.iso(each.at)} in {path.name}") for each in beside),
        *((each, f"the checkpoint of {clock.iso(each.at)} that was brought along") for each in given),
    ]
    public = own.public_key(ctx) if everything else ""
    for each, said in everything:
        if each.public != public:
            raise _Broken(each.seq, f"{said} at fact {each.seq} is signed by another key than this installation's")
        if not each.genuine():
            raise _Broken(each.seq, f"{said} at fact {each.seq} has a signature that does not hold")
        yield each, said
    missing = [each.seq for each in beside if each.seq not in known]
    if missing and max(missing) <= store.head(ctx)[0]:
        raise _Broken(missing[0], f"the checkpoint at fact {missing[0]} is in {path.name} and gone from the database")


def _expected(signed: Iterable[tuple[record.Checkpoint, str]]) -> dict[int, list[tuple[str, str]]]:
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for each, said in signed:
        if (each.hash, said) not in found[each.seq]:
            found[each.seq].append((each.hash, said))
    return found


def _cuts(ctx: Ctx) -> list[model.Cut]:
    found = store.cuts(ctx)
    public = own.public_key(ctx) if found else ""
    first = 1
    for each in found:
        said = canonical.dumps(archives.said(each))
        genuine = each.key == signing.key_id(public) and signing.verify(public, record.CUT, said, each.signature)
        if not genuine or each.first != first:
            raise _Broken(each.seq, f"the note that facts up to {each.seq} were archived is not signed for that")
        first = each.seq + 1
    return found


def _forget_archived(walk: _Pass, cuts: Sequence[model.Cut]) -> None:
    """What was signed of facts that are in archives now is compared where it can be: at the cuts."""
    hashes = {cut.seq: cut.hash for cut in cuts}
    for seq in [each for each in walk.expected if each <= walk.seq]:
        for hash_, said in walk.expected.pop(seq):
            if seq in hashes and hashes[seq] != hash_:
                raise _Broken(seq, f"{said} has another seal for fact {seq} than the archive")


def _walk(ctx: Ctx, walk: _Pass, batch: int) -> None:
    begun = walk.seq
    while True:
        # A fact that lies below the cut has been put back, or its number was changed.
        after = walk.seq if walk.seq > begun else -(2**31)
        try:
            with ctx.tx.begin_nested():  # Postgres goes on after an error only from such a point
                rows = store.written(ctx, after, batch)
        except (sa.exc.DBAPIError, ValueError):
            if batch == 1:
                raise _Broken(walk.seq + 1, f"fact {walk.seq + 1} cannot be read any more") from None
            batch = 1  # one of these: look at each by itself
            continue
        if not rows:
            return
        for row in rows:
            _step(walk, dict(row._mapping))


def _step(walk: _Pass, row: dict[str, Any]) -> None:
    if row["seq"] != walk.seq + 1:
        past = not isinstance(row["seq"], int) or row["seq"] <= walk.seq
        raise _Broken(
            walk.seq + 1, f"fact {row['seq']} does not belong there" if past else f"fact {walk.seq + 1} is missing"
        )
    if not record.holds(row, walk.previous):
        raise _Broken(row["seq"], f"fact {row['seq']} was changed after it was written")
    walk.seq, walk.previous = row["seq"], row["hash"]
    walk.meet()
    if row["type"] == archives.ARCHIVED:
        archives.confirm(walk.cuts, row)


def _end(ctx: Ctx, walk: _Pass) -> None:
    head = store.head(ctx)
    beyond = min(walk.expected, default=None)
    if beyond is not None:
        said = walk.expected[max(walk.expected)][0][1]
        raise _Broken(
            walk.seq + 1, f"the log ends at {walk.seq}, but {said} tells of fact {max(walk.expected)}: the end is gone"
        )
    if head != (walk.seq, walk.previous):
        raise _Broken(walk.seq + 1, f"the log ends at {walk.seq}, but its head says {head[0]}")
    if walk.cuts:
        raise _Broken(min(walk.cuts), f"no fact tells that facts up to {min(walk.cuts)} were archived")
