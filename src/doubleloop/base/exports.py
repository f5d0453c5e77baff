"""An export of the record as JSON lines: a fact a line, and in the last line a seal over all of them.

The last line carries, beside its fact, the field ``export``: how many lines there are, their SHA-256, what was asked
for, and the installation's signature. So a line that was changed, removed, added or moved is found without a server.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from doubleloop.base import canonical, clock, errors, record, signing

# Signs what is told of an export: the text in, the signature out.
Sign = Callable[[str], str]


@dataclass(frozen=True)
class Report:
    """``line`` is the first that does not hold, 0 when all do. ``whole``: nothing was left out between ``first`` and
    ``last``. ``key`` is the id of the key that signed."""

    facts: int = 0
    first: int = 0
    last: int = 0
    whole: bool = False
    at: str = ""
    by: str = ""
    key: str = ""
    checkpoints: int = 0
    line: int = 0
    why: str = ""


def lines(rows: Iterable[Mapping[str, Any]], told: Mapping[str, Any], public: str, sign: Sign) -> Iterator[str]:
    """``rows`` as they are stored (``data`` and ``context`` are texts); ``told``: what the seal says beside its counts.

    One row is held at a time.
    """
    digest, count, first, held = hashlib.sha256(), 0, 0, None
    for row in rows:
        if held is not None:
            yield _line(held)
        held = {**{name: row[name] for name in record.FIELDS}, "data": json.loads(row["data"])}
        held["context"] = None if row["context"] is None else json.loads(row["context"])
        digest.update(_line(held).encode())
        count, first = count + 1, first or row["seq"]
    last = held["seq"] if held else 0
    seal = {
        **told, "format": record.EXPORT, "count": count, "first": first, "last": last, "sha256": digest.hexdigest(),
        "public": public, "key": signing.key_id(public),
    }  # fmt: skip
    yield _line({**(held or {}), record.SEAL: {**seal, "signature": sign(canonical.dumps(seal))}})


def _line(content: Mapping[str, Any]) -> str:
    return canonical.dumps(content) + "\n"


class _Broken(Exception):
    pass


@dataclass
class _Reading:
    digest: Any
    line: int = 0
    count: int = 0
    first: int = 0
    last: int = 0
    hash: str = ""
    start: str = ""
    gaps: bool = False
    seal: dict[str, Any] | None = None
    # The seals of the facts that checkpoints tell of.
    signed: dict[int, str] = field(default_factory=dict)


def verify(
    content: Iterable[str], *, public: str | None = None, checkpoints: Sequence[record.Checkpoint] = ()
) -> Report:
    """Prove an export, line by line, in constant memory.

    ``public``: the key that must have signed it; without one, whatever key the file names (compare it with
    `doubleloop audit key`). ``checkpoints`` must agree with what the export holds.
    """
    reading = _Reading(hashlib.sha256(), signed={each.seq: "" for each in checkpoints})
    try:
        for line in content:
            reading.line += 1
            if reading.seal is not None:
                raise _Broken("something follows the line that ends the export")
            _read(reading, line)
        if reading.seal is None:
            raise _Broken("the last line, which seals the export, is missing: its end was cut off")
        _check_seal(reading, public)
        _check_checkpoints(reading, checkpoints)
    except _Broken as broken:
        return Report(reading.count, reading.first, reading.last, line=max(1, reading.line), why=str(broken))
    seal = reading.seal
    return Report(
        reading.count, reading.first, reading.last, bool(seal["whole"]), str(seal["at"]), str(seal["by"]),
        str(seal["key"]), len(checkpoints),
    )  # fmt: skip


def _read(reading: _Reading, line: str) -> None:
    try:
        content = json.loads(line)
        exact = _line(content) == (line if line.endswith("\n") else line + "\n")
    except (ValueError, RecursionError):
        raise _Broken("the line is not JSON") from None
    if not isinstance(content, dict) or not exact:
        raise _Broken("the line is not written as an export writes it")
    seal = content.pop(record.SEAL, None)
    if seal is not None:
        if not isinstance(seal, dict):
            raise _Broken("the seal of the export is not one")
        reading.seal = seal
    if content or seal is None:
        _take(reading, content)


def _take(reading: _Reading, content: dict[str, Any]) -> None:
    """One fact. Raises _Broken unless it is as it was sealed, and follows the one before."""
    if set(content) != set(record.FIELDS):
        raise _Broken("the line is not a fact")
    context = content["context"]
    row = {
        **content, "data": canonical.dumps(content["data"]),
        "context": None if context is None else canonical.dumps(context),
    }  # fmt: skip
    seq = content["seq"]
    if not isinstance(seq, int) or isinstance(seq, bool) or (reading.count and seq <= reading.last):
        raise _Broken(f"fact {seq} does not belong here")
    follows = reading.count > 0 and seq == reading.last + 1
    if not record.holds(row, reading.hash if follows else None):
        raise _Broken(f"fact {seq} was changed after it was written")
    reading.gaps = reading.gaps or (reading.count > 0 and not follows)
    reading.digest.update(_line(content).encode())
    reading.count, reading.first = reading.count + 1, reading.first or seq
    reading.start = reading.start or content["previous"]
    reading.last, reading.hash = seq, content["hash"]
    if seq in reading.signed:
        reading.signed[seq] = reading.hash


def _check_seal(reading: _Reading, public: str | None) -> None:
    seal = dict(reading.seal or {})
    signature = str(seal.pop("signature", ""))
    found = (reading.count, reading.first, reading.last, reading.digest.hexdigest())
    told = tuple(seal.get(name) for name in ("count", "first", "last", "sha256"))
    named = str(seal.get("public", ""))
    if seal.get("format") != record.EXPORT or not {"at", "by", "key", "whole", "after"} <= set(seal):
        raise _Broken("the seal of the export is not one")
    if not signing.verify(named, record.EXPORT, canonical.dumps(seal), signature):
        raise _Broken("the signature of the export does not hold")
    if seal["key"] != signing.key_id(named) or (public is not None and named != public):
        raise _Broken(f"the export is signed by key {seal['key']}, not by the one that was expected")
    if found != told:
        raise _Broken(f"the export had {told[0]} facts ({told[1]} to {told[2]}): some were removed, added or moved")
    if seal["whole"] and reading.count and (reading.gaps or [reading.first - 1, reading.start] != seal["after"]):
        raise _Broken("the export is said to be whole and leaves facts out")


def _check_checkpoints(reading: _Reading, checkpoints: Sequence[record.Checkpoint]) -> None:
    seal = reading.seal or {}
    for each in checkpoints:
        if not each.genuine() or each.public != seal["public"]:
            raise _Broken(f"the checkpoint at fact {each.seq} is not signed by the key of the export")
        found = reading.signed[each.seq]
        if found and found != each.hash:
            raise _Broken(f"the checkpoint of {clock.iso(each.at)} has another seal for fact {each.seq}")
        later = clock.parse(str(seal["at"])) >= each.at
        if seal["whole"] and not found and each.seq > reading.last and later:
            raise _Broken(f"the checkpoint of {clock.iso(each.at)} tells of fact {each.seq}, which is not here")


def key(text: str) -> str:
    """A public key as a person gives it. Raises InvalidInput."""
    try:
        signing.key_id(text.strip())
    except errors.InvalidInput as error:
        raise errors.InvalidInput(error.what, cure="`doubleloop audit key` of its installation shows it.") from None
    return text.strip()
