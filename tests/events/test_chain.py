"""The log of facts: each fact seals the one before it, and nobody changes it without being found out."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doubleloop.base import canonical, clock
from doubleloop.events import commands, model, queries

# Every column that says something; `seq` is tried by itself, since it is the key.
COLUMNS = ("type", "workspace", "subject", "actor", "at", "data", "previous", "hash", "context")


@pytest.fixture
def log(house: Any) -> Any:
    """A house with ten facts more."""
    for number in range(10):
        with house.write("ada") as ctx:
            commands.record(ctx, "thing.made", f"thing:{number}", number=number, names=["a", "ß", None], share=0.1)
    return house


def verify(house: Any) -> model.ChainReport:
    with house.read() as ctx:
        return queries.verify(ctx)


def tamper(house: Any, statement: str, *values: object) -> None:
    with sqlite3.connect(house.home / "doubleloop.sqlite") as raw:
        assert raw.execute(statement, values).rowcount > 0


def test_a_log_nobody_touched_is_whole(log: Any) -> None:
    report = verify(log)
    assert report.whole
    with log.read() as ctx:
        assert queries.head(ctx) == (report.facts, report.head)
        last = queries.facts(ctx, newest_first=True, limit=1)[0]
    assert (last.subject, last.data) == ("thing:9", {"number": 9, "names": ["a", "ß", None], "share": 0.1})


def test_a_seal_is_the_hash_of_the_seal_before_and_of_what_is_said(log: Any) -> None:
    """Recomputed here from the words of the documentation, without the code that wrote it."""
    with sqlite3.connect(log.home / "doubleloop.sqlite") as raw:
        rows = raw.execute(
            "select seq, type, workspace, subject, actor, at, data, previous, hash, context from facts"
        ).fetchall()
    before = "0" * 64
    for seq, type_, workspace, subject, actor, at, data, previous, digest, context in rows:
        said = [before, seq, type_, workspace, subject, actor, at, json.loads(data)]
        if context is not None:
            said = ["doubleloop-fact/2", *said, json.loads(context)]
        text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert (previous, digest) == (before, hashlib.sha256(text.encode()).hexdigest())
        before = digest


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("seq", [1, 7, "last"])
def test_a_change_of_any_column_of_any_fact_is_found_at_that_fact(log: Any, column: str, seq: int | str) -> None:
    number = verify(log).facts if seq == "last" else int(seq)
    with sqlite3.connect(log.home / "doubleloop.sqlite") as raw:
        (value,) = raw.execute(f"select {column} from facts where seq = ?", (number,)).fetchone()
    changed = (value or "x")[:-1] + ("a" if (value or "x")[-1] != "a" else "b")
    tamper(log, f"update facts set {column} = ? where seq = ?", changed, number)
    report = verify(log)
    assert not report.whole
    assert report.broken_at == number, report.why


def put(log: Any, column: str, number: int, content: bytes) -> None:
    tamper(log, f"update facts set {column} = cast(? as text) where seq = ?", content, number)


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("data", lambda text: text.replace(",", ", ", 1)),
        ("data", lambda text: text.replace('"number":6', '"number":6.0')),
        ("data", lambda text: text.replace('"ß"', '"\\u00df"')),
        ("data", lambda text: '{"number":1,' + text[1:]),
        ("data", lambda text: text + " "),
        ("at", lambda text: text.replace("Z", "+00:00")),
        ("at", lambda text: text.replace("T", " ")),
        ("hash", lambda text: text.upper()),
    ],
)  # fmt: skip
def test_the_same_said_in_other_bytes_is_a_change_too(log: Any, column: str, change: Any) -> None:
    number = verify(log).facts - 3
    with sqlite3.connect(log.home / "doubleloop.sqlite") as raw:
        (value,) = raw.execute(f"select {column} from facts where seq = ?", (number,)).fetchone()
    assert change(value) != value
    put(log, column, number, change(value).encode())
    assert verify(log).broken_at == number


@pytest.mark.parametrize("column", COLUMNS)
def test_bytes_that_are_no_text_are_found_where_they_are(log: Any, column: str) -> None:
    put(log, column, 5, b"\xff\xfe")
    assert verify(log).broken_at == 5
    tamper(log, f"update facts set {column} = 7 where seq = 4")
    assert verify(log).broken_at == 4


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 0.999), column=st.sampled_from(COLUMNS), place=st.floats(0, 0.999),
       bit=st.integers(0, 6))  # fmt: skip
def test_no_flipped_bit_goes_unnoticed(log: Any, share: float, column: str, place: float, bit: int) -> None:
    """One bit of one byte of one column of one row; put back afterwards, the log is whole again."""
    number = 1 + int(share * verify(log).facts)
    with sqlite3.connect(log.home / "doubleloop.sqlite") as raw:
        (value,) = raw.execute(f"select {column} from facts where seq = ?", (number,)).fetchone()
    if not value:
        return
    content = bytearray(value.encode())
    content[int(place * len(content))] ^= 1 << bit
    put(log, column, number, bytes(content))
    report = verify(log)
    put(log, column, number, value.encode())
    assert report.broken_at == number, (column, value, bytes(content), report)
    assert verify(log).whole


def test_a_removed_fact_is_missed_wherever_it_stood(log: Any) -> None:
    last = verify(log).facts
    tamper(log, "delete from facts where seq = ?", last)
    assert verify(log).broken_at == last
    tamper(log, "delete from facts where seq = 3")
    assert verify(log).broken_at == 3
    tamper(log, "delete from facts where seq = 1")
    assert verify(log).broken_at == 1


def test_two_facts_that_changed_places_are_found(log: Any) -> None:
    tamper(log, "update facts set seq = -1 where seq = 4")
    tamper(log, "update facts set seq = 4 where seq = 5")
    tamper(log, "update facts set seq = 5 where seq = -1")
    assert verify(log).broken_at == 4


def test_a_fact_that_was_slipped_in_is_found(log: Any) -> None:
    last = verify(log).facts
    tamper(
        log, "insert into facts select seq + 1, type, workspace, subject, actor, at, data, hash, hash, context "
        "from facts where seq = ?", last,
    )  # fmt: skip
    assert verify(log).broken_at == last + 1


def test_a_forged_last_fact_is_found_though_it_seals_itself(log: Any) -> None:
    """Whoever can compute seals must forge the head as well."""
    last = verify(log).facts
    with log.read() as ctx:
        fact = queries.facts(ctx, after=last - 1)[0]
    data = {"number": 10}
    forged = model.seal(
        fact.previous, fact.seq, fact.type, fact.workspace, fact.subject, "grace", fact.at, data
    )  # fmt: skip
    tamper(
        log, "update facts set actor = 'grace', data = ?, hash = ? where seq = ?", canonical.dumps(data), forged, last
    )
    report = verify(log)
    assert (report.whole, report.broken_at) == (False, last + 1)
    assert "head" in report.why


def test_a_fact_goes_with_the_change_it_tells_of(log: Any) -> None:
    before = verify(log)
    with pytest.raises(RuntimeError), log.write() as ctx:
        commands.record(ctx, "thing.made", "thing:undone")
        raise RuntimeError
    assert verify(log) == before


def test_what_is_not_json_is_refused(log: Any) -> None:
    before = verify(log)
    for value in (float("nan"), float("inf"), {1, 2}, clock.now()):
        with pytest.raises((TypeError, ValueError)), log.write() as ctx:
            commands.record(ctx, "thing.made", "thing:x", value=value)
    assert verify(log) == before


def test_facts_of_many_writers_at_once_make_one_unbroken_row(log: Any) -> None:
    before, failures = verify(log).facts, []

    def write(name: str) -> None:
        try:
            for number in range(20):
                with log.write() as ctx:
                    commands.record(ctx, "thing.made", f"thing:{name}", number=number)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(str(each),)) for each in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    report = verify(log)
    assert (failures, report.whole, report.facts) == ([], True, before + 80)


def test_a_reader_gets_every_fact_once_and_a_cut_short_reaction_again(log: Any) -> None:
    with log.read() as ctx:
        there = queries.facts(ctx)
    with pytest.raises(RuntimeError), log.write() as ctx:
        commands.advance(ctx, "reader", commands.unread(ctx, "reader", limit=1)[0].seq)
        raise RuntimeError
    seen = []
    while True:
        with log.write() as ctx:
            waiting = commands.unread(ctx, "reader", limit=4)
            seen += waiting
            if not waiting:
                break
            commands.advance(ctx, "reader", waiting[-1].seq)
    assert seen == there
    with log.read() as ctx:
        assert commands.unread(ctx, "another", types=["thing.made"], limit=3) == [
            each for each in there if each.type == "thing.made"
        ][:3]  # fmt: skip


def test_the_log_is_paged_and_filtered(log: Any) -> None:
    made = model.Query(("thing.made",))
    with log.read() as ctx:
        first = queries.audit(ctx, model.Query(subject="thing:4"))
        assert [each.subject for each in first] == ["thing:4"]
        newest = queries.audit(ctx, made, limit=4)
        older = queries.audit(ctx, made, limit=4, cursor=newest[-1].seq)
        assert [each.subject for each in [*newest, *older]] == [f"thing:{number}" for number in range(9, 1, -1)]
        oldest = queries.audit(ctx, made, newest_first=False, limit=2)
        assert [each.subject for each in oldest] == ["thing:0", "thing:1"]
        assert queries.audit(ctx, model.Query(actor="nobody")) == []
        assert {each.workspace for each in queries.audit(ctx, model.Query(workspaces=("dev",)))} == {"dev"}
