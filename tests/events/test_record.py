"""Signed checkpoints, exports and archives: what somebody with the database, or the file, in hand cannot hide."""

from __future__ import annotations

import base64
import csv
import dataclasses
import hashlib
import io
import json
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from doubleloop.base import actors, clock, errors, exports, record
from doubleloop.db.context import Contexts
from doubleloop.events import archives, checkpoints, commands, exporting, guards, model, queries
from doubleloop.secrets import ports as secrets
from doubleloop.secrets.local import FileKeys

KEEPER = actors.service("audit")


@pytest.fixture
def log(house: Any) -> Any:
    """Ten facts, a checkpoint, five facts more; the database refuses changes as a migrated one does."""
    house.ports[secrets.Keys] = FileKeys(house.home / "secret.key")
    with house.write() as ctx:
        guards.restore(ctx)
    grow(house, 10)
    checkpoints.keep(house.contexts, KEEPER, always=True)
    grow(house, 5)
    return house


def grow(house: Any, count: int, contexts: Contexts | None = None) -> None:
    for number in range(count):
        with (contexts or house.contexts).write(house.actor("ada"), "dev") as ctx:
            commands.record(ctx, "thing.made", f"thing:{number}", number=number, reason="=cmd()|'x'!A1")


def verify(house: Any, given: Any = ()) -> model.ChainReport:
    with house.read() as ctx:
        return queries.verify(ctx, given)


def tamper(house: Any, *statements: str) -> None:
    """As somebody does who has the database file: the triggers first, and put back when done."""
    with sqlite3.connect(house.home / "doubleloop.sqlite") as raw:
        kept = raw.execute("select name, sql from sqlite_master where type = 'trigger'").fetchall()
        for name, _ in kept:
            raw.execute(f"drop trigger {name}")
        for statement in statements:
            raw.execute(statement)
        for _, text in kept:
            raw.execute(text)


def rewrite(house: Any, first: int) -> None:
    """Change a fact, and compute every seal from there on and the head anew: all that needs no key."""
    with sqlite3.connect(house.home / "doubleloop.sqlite") as raw:
        names = "seq, type, workspace, subject, actor, at, data, context"
        rows = raw.execute(f"select {names} from facts where seq >= ? order by seq", (first,)).fetchall()
        (before,) = raw.execute("select hash from facts where seq = ?", (first - 1,)).fetchone() or ("0" * 64,)
    statements = []
    for seq, type_, workspace, subject, actor, at, data, context in rows:
        actor = "mallory" if seq == first else actor
        said = [before, seq, type_, workspace, subject, actor, at, json.loads(data)]
        said = ["doubleloop-fact/2", *said, json.loads(context)] if context else said
        text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        digest = hashlib.sha256(text.encode()).hexdigest()
        statements.append(
            f"update facts set actor = '{actor}', previous = '{before}', hash = '{digest}' where seq = {seq}"
        )
        before = digest
    tamper(house, *statements, f"update fact_chain set hash = '{before}'")


def signed(house: Any) -> int:
    with house.read() as ctx:
        last = queries.last_checkpoint(ctx)
    assert last is not None
    return last.seq


def test_a_checkpoint_is_an_ed25519_signature_that_anybody_can_check(log: Any) -> None:
    """Checked with the words of the documentation, without the code that wrote it."""
    line = json.loads((log.home / "audit" / "checkpoints.jsonl").read_text())
    said = {name: line[name] for name in ("at", "hash", "key", "seq")}
    text = f"doubleloop-checkpoint/1\n{json.dumps(said, sort_keys=True, separators=(',', ':'))}\n"
    key = ed25519.Ed25519PublicKey.from_public_bytes(base64.b64decode(line["public"]))
    key.verify(base64.b64decode(line["signature"]), text.encode())
    with log.read() as ctx:
        assert queries.public_key(ctx) == line["public"]
        assert queries.facts(ctx, after=line["seq"] - 1, limit=1)[0].hash == line["hash"]
    assert (log.home / "secret.key").stat().st_mode & 0o777 == 0o600
    report = verify(log)
    assert (report.whole, report.signed, report.guarded) == (True, line["seq"], True)


def test_checkpoints_are_due_after_so_many_facts_or_so_long(log: Any) -> None:
    settings = dataclasses.replace(log.ports[type(log.contexts.ports[_settings()])], audit_checkpoint_facts=7)
    log.ports[_settings()] = settings
    assert checkpoints.keep(log.contexts, KEEPER) is None
    grow(log, 2)
    assert checkpoints.keep(log.contexts, KEEPER) is not None
    assert checkpoints.keep(log.contexts, KEEPER) is None
    grow(log, 1)
    later = Contexts(log.contexts.engine, log.ports, lambda: clock.now() + timedelta(seconds=61))
    assert checkpoints.keep(later, KEEPER) is not None
    assert verify(log).whole


def _settings() -> Any:
    from doubleloop.settings.model import Settings

    return Settings


TAMPERINGS: dict[str, Callable[[Any], Any]] = {
    "an edit": lambda log: tamper(log, "update facts set actor = 'mallory' where seq = 5"),
    "a removed fact": lambda log: tamper(log, "delete from facts where seq = 5"),
    "two that changed places": lambda log: tamper(
        log, "update facts set seq = -1 where seq = 4", "update facts set seq = 4 where seq = 5",
        "update facts set seq = 5 where seq = -1",
    ),
    "a context that was taken away": lambda log: tamper(
        log, "update facts set context = null where seq = (select max(seq) from facts where context is not null)"
    ),
    "a chain that was computed anew": lambda log: rewrite(log, 3),
    "a signature of something else": lambda log: (
        rewrite(log, 3),
        tamper(log, "update fact_checkpoints set hash = (select hash from facts f where f.seq = fact_checkpoints.seq)"),
    ),
    "a checkpoint that was removed": lambda log: tamper(log, "delete from fact_checkpoints"),
    "a forged note of an archive": lambda log: tamper(
        log, "insert into fact_cuts select seq, hash, 1, at, 'x', hash, substr(public, 1, 16), signature "
        "from fact_checkpoints", "delete from facts where seq <= (select seq from fact_cuts)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", TAMPERINGS)
def test_no_tampering_with_the_database_stays_hidden(log: Any, how: str) -> None:
    with log.write() as ctx:  # one with a context
        commands.record(ctx.acting_as(actors.Actor("ada", via="job:a/b")), "thing.made", "thing:x")
    assert verify(log).whole
    TAMPERINGS[how](log)
    report = verify(log)
    assert not report.whole
    assert 0 < report.broken_at <= 30
    assert report.why


def test_an_end_that_is_cut_off_is_missed_by_a_checkpoint_that_lies_elsewhere(log: Any) -> None:
    seq = signed(log)
    kept = record.checkpoints((log.home / "audit" / "checkpoints.jsonl").read_text(), "kept")
    (log.home / "audit" / "checkpoints.jsonl").unlink()
    assert verify(log, kept).whole
    tamper(
        log, f"delete from facts where seq >= {seq - 1}", "delete from fact_checkpoints",
        "update fact_chain set seq = (select max(seq) from facts), "
        "hash = (select hash from facts order by seq desc limit 1)",
    )  # fmt: skip
    assert verify(log).whole, "nothing here knows any more"
    report = verify(log, kept)
    assert report.broken_at == seq - 1
    assert "the end is gone" in report.why


def test_a_checkpoint_of_another_key_proves_nothing(log: Any) -> None:
    kept = record.checkpoints((log.home / "audit" / "checkpoints.jsonl").read_text(), "kept")[0]
    forged = dataclasses.replace(kept, hash="0" * 64)
    assert "signature" in verify(log, [forged]).why
    log.ports[secrets.Keys] = FileKeys(log.home / "another.key")
    assert "another key" in verify(log).why


def test_a_checkpoint_that_a_crash_cut_short_is_written_again(log: Any) -> None:
    path = log.home / "audit" / "checkpoints.jsonl"
    whole = path.read_text()
    path.write_text(whole[:50])
    grow(log, 1)
    checkpoints.keep(log.contexts, KEEPER, always=True)
    lines = path.read_text().splitlines()
    assert lines[0] == whole[:50]
    assert [json.loads(line)["seq"] for line in lines[1:]] == [json.loads(whole)["seq"], signed(log)]
    assert verify(log).whole


def export(log: Any, query: model.Query | None = None) -> list[str]:
    with log.read() as ctx:
        upto, _ = queries.head(ctx)
    return list(exporting.json_lines(log.contexts, log.actor("ada"), query or model.Query(), upto))


def test_an_export_holds_every_fact_and_is_proved_without_the_database(log: Any) -> None:
    lines = export(log)
    report = exports.verify(lines, checkpoints=record.checkpoints(_ledger(log), "kept"))
    assert (report.line, report.whole, report.facts) == (0, True, verify(log).facts)
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, report.facts + 1))
    part = export(log, model.Query(types=("thing.*",)))
    found = exports.verify(part)
    assert (found.line, found.whole, found.facts) == (0, False, 15)
    nothing = export(log, model.Query(actor="nobody"))
    assert (len(nothing), exports.verify(nothing).line, exports.verify(nothing).facts) == (1, 0, 0)


def _ledger(log: Any) -> str:
    return str((log.home / "audit" / "checkpoints.jsonl").read_text())


CHANGES: dict[str, Callable[[list[str]], list[str]]] = {
    "an edit": lambda lines: [*lines[:3], lines[3].replace('"actor":"', '"actor":"x'), *lines[4:]],
    "another form": lambda lines: [*lines[:3], lines[3].replace('"actor":', '"actor": '), *lines[4:]],
    "a line less": lambda lines: [*lines[:3], *lines[4:]],
    "the first line less": lambda lines: lines[1:],
    "the end less": lambda lines: lines[:-1],
    "a line twice": lambda lines: [*lines[:4], lines[3], *lines[4:]],
    "lines that changed places": lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]],
    "something behind the end": lambda lines: [*lines, lines[0]],
    "another count": lambda lines: [*lines[:-1], lines[-1].replace('"count":', '"count":1')],
    "no text": lambda lines: [*lines[:3], "\0\n", *lines[4:]],
}


@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("types", [(), ("thing.*", "user.*")], ids=["whole", "part"])
def test_a_changed_export_is_found(log: Any, how: str, types: tuple[str, ...]) -> None:
    lines = export(log, model.Query(types=types))
    assert exports.verify(lines).line == 0
    report = exports.verify(CHANGES[how](lines))
    assert report.line > 0
    assert report.why


def test_an_export_signed_by_another_is_found_with_the_key(log: Any) -> None:
    with log.read() as ctx:
        public = queries.public_key(ctx)
    lines = export(log)
    assert exports.verify(lines, public=public).line == 0
    log.ports[secrets.Keys] = FileKeys(log.home / "another.key")
    assert exports.verify(export(log), public=public).line > 0


def test_a_spreadsheet_gets_no_formulas(log: Any) -> None:
    with log.read() as ctx:
        upto, _ = queries.head(ctx)
    with log.write() as ctx:
        commands.record(ctx, "thing.made", '@SUM(1,2) "quoted"\nand more', reason="  -1+2")
    text = "".join(exporting.as_csv(log.contexts, log.actor("ada"), model.Query(types=("thing.made",)), upto + 1))
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert rows[0]["reason"] == "'=cmd()|'x'!A1"
    assert (rows[-1]["subject"], rows[-1]["reason"]) == ('\'@SUM(1,2) "quoted"\nand more', "'  -1+2")
    assert len(rows) == 16
    assert not [cell for row in rows for cell in row.values() if cell.lstrip().startswith(("=", "+", "-", "@"))]


def test_what_is_older_is_archived_and_the_chain_holds_from_there(log: Any) -> None:
    at = verify(log).facts
    later = Contexts(log.contexts.engine, log.ports, lambda: clock.now() + timedelta(days=10))
    grow(log, 3, later)
    limit = clock.now() + timedelta(days=5)
    assert archives.archive(later, KEEPER, clock.now() - timedelta(days=1)) is None
    cut = archives.archive(later, KEEPER, limit)
    assert cut is not None
    assert (cut.first, cut.seq) == (1, at)
    report = verify(log)
    assert (report.why, report.archived, report.facts) == ("", at, at + 4)
    file = log.home / "audit" / "archive" / cut.file
    assert hashlib.sha256(file.read_bytes()).hexdigest() == cut.sha256
    with file.open() as lines:
        assert exports.verify(lines).facts == at
    with log.read() as ctx:
        assert [fact.seq for fact in queries.facts(ctx)] == [at + 1, at + 2, at + 3, at + 4]
        told = queries.facts(ctx, types=["audit.archived"])[0]
    assert (told.data["seq"], told.data["sha256"]) == (at, cut.sha256)
    assert archives.archive(later, KEEPER, limit) is None
    again = archives.archive(later, KEEPER, clock.now() + timedelta(days=20))
    assert again is not None
    assert (again.first, again.seq) == (at + 1, at + 4)
    assert verify(log).whole
    assert exports.verify(export(log)).whole
    tamper(log, "delete from fact_cuts")
    assert not verify(log).whole


def test_facts_that_were_not_archived_cannot_be_removed(log: Any) -> None:
    archives.archive(log.contexts, KEEPER, clock.now())
    grow(log, 2)
    with sqlite3.connect(log.home / "doubleloop.sqlite") as raw:
        for statement in ("delete from facts", "delete from fact_cuts", "update fact_checkpoints set seq = 1"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                raw.execute(statement)


def test_what_rules_have_not_read_is_not_archived(log: Any) -> None:
    with log.write() as ctx:
        commands.advance(ctx, "automation", 4)
    cut = archives.archive(log.contexts, KEEPER, clock.now() + timedelta(days=1))
    assert cut is not None
    assert cut.seq == 4


def test_a_record_that_does_not_hold_is_not_archived(log: Any) -> None:
    tamper(log, "update facts set actor = 'mallory' where seq = 3")
    facts = verify(log)
    with pytest.raises(errors.Conflict, match="does not hold"):
        archives.archive(log.contexts, KEEPER, clock.now() + timedelta(days=1))
    assert verify(log) == facts
    assert not list((log.home / "audit" / "archive").iterdir())


def test_triggers_that_were_lost_are_seen_and_made_again(log: Any) -> None:
    with sqlite3.connect(log.home / "doubleloop.sqlite") as raw:
        raw.execute("drop trigger facts_no_update")
        raw.execute("drop trigger facts_no_delete")
        raw.execute("create trigger facts_no_delete before delete on facts begin select 1; end")
    assert not verify(log).guarded
    with log.write() as ctx:
        assert sorted(guards.restore(ctx)) == ["facts_no_delete", "facts_no_update"]
        assert guards.restore(ctx) == []
    assert verify(log).guarded
