"""A data asset's contract: what breaks it is refused with its reasons and leaves nothing, or is taken and told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from doubleloop.base import errors
from doubleloop.catalog import model as assets
from doubleloop.data import commands, contracts, model, queries
from doubleloop.events import queries as facts
from doubleloop.specs import documents
from doubleloop.storage import ports as storage

CONTRACT = """$schema: doubleloop/contract
name: rides
data: rides
columns:
  hour: {type: integer, at_least: 0, at_most: 23, nullable: false}
  city: {type: string, in: [oslo, rome]}
  id: {unique: true}
"""
GOOD = "id,hour,city\n1,8,oslo\n2,9,rome\n3,10,oslo\n4,11,rome\n"
# Of four rows: one hour of 24, two missing; one city that is none; two equal ids.
BAD = "id,hour,city\n1,24,oslo\n2,,rome\n2,,paris\n4,11,rome\n"


def put(house: Any, text: str = CONTRACT, by: str = "ada", workspace: str = "dev") -> model.Contract:
    with house.write(by, workspace) as ctx:
        return contracts.put(ctx, documents.parse(text, "contract.yml", "/"))


def stored(house: Any, content: str, name: str = "rides.csv") -> str:
    return commands.store_bytes(house.contexts.port(storage.Blobs), name, content.encode())


def add(house: Any, content: str, name: str = "rides", looked: bool = True) -> assets.Asset:
    """As the API does; ``looked`` False: somebody forgets to look before."""
    reference = stored(house, content)
    judged = contracts.look(house.contexts, house.actor("ada"), "dev", name, reference) if looked else None
    with house.write("ada", "dev") as ctx:
        return commands.add_version(ctx, name, reference, "uri_file", judged=judged)


def versions(house: Any) -> list[str]:
    with house.read("ada", "dev") as ctx:
        return [each.asset.version for each in queries.versions(ctx, "rides")]


def told(house: Any, *types: str) -> list[Any]:
    with house.read("service:setup", None) as ctx:
        return facts.facts(ctx, types=types)


@pytest.mark.parametrize("looked", [True, False])
def test_what_breaks_its_contract_is_refused_with_every_reason_and_leaves_nothing(house: Any, looked: bool) -> None:
    put(house)
    assert add(house, GOOD, looked=looked).version == "1"
    with pytest.raises(errors.InvalidInput) as refused:
        add(house, BAD, looked=looked)
    found = {(each["column"], each["rule"]): each for each in refused.value.details["violations"]}
    assert {key: (each["count"], each["share"]) for key, each in found.items()} == {
        ("hour", "nullable"): (2, 0.5), ("hour", "at_most"): (1, 0.25), ("city", "in"): (1, 0.25),
        ("id", "unique"): (2, 0.5),
    }  # fmt: skip
    assert found["city", "in"]["examples"] == [{"row": 2, "value": "paris"}]
    assert "column hour breaks 'at_most' in 1 rows (25.00%)" in refused.value.what
    assert versions(house) == ["1"] and len(told(house, "data.created")) == 1
    with house.read("ada", "dev") as ctx:
        (check,) = contracts.checks(ctx, "rides")
    assert (check.version, check.judged.broken, check.judged.rows) == ("1", False, 4)
    if looked:
        (fact,) = told(house, "contract.refused")
        assert fact.data["tell"] == ["data_scientist"] and fact.data["violations"][0]["column"]


def test_a_contract_that_only_alerts_takes_the_version_and_tells(house: Any) -> None:
    put(house, CONTRACT + "on_break: alert\n")
    assert add(house, BAD).version == "1"
    (fact,) = told(house, "contract.broken")
    assert (fact.subject, fact.data["version"], fact.data["rows"]) == ("contract:dev/rides", "1", 4)
    assert {each["rule"]: each["share"] for each in fact.data["violations"]}["unique"] == 0.5
    add(house, BAD)
    assert len(told(house, "contract.broken")) == 1, "the same version again is no other break"


def test_other_assets_and_those_without_a_contract_are_not_looked_at(house: Any) -> None:
    put(house)
    assert add(house, BAD, "others").version == "1"
    with house.write("ada", "dev") as ctx:
        contracts.delete(ctx, "rides")
    assert add(house, BAD).version == "1"
    with pytest.raises(errors.NotFound), house.read("ada", "dev") as ctx:
        contracts.get(ctx, "rides")


def test_a_contract_that_changes_between_the_look_and_the_version_counts_as_it_is_then(house: Any) -> None:
    put(house)
    reference = stored(house, GOOD)
    judged = contracts.look(house.contexts, house.actor("ada"), "dev", "rides", reference)
    put(house, CONTRACT.replace("at_most: 23", "at_most: 9"))
    with pytest.raises(errors.InvalidInput, match="at_most"), house.write("ada", "dev") as ctx:
        commands.add_version(ctx, "rides", reference, "uri_file", judged=judged)
    assert versions(house) == []


@pytest.mark.parametrize("content", ["", "just\x00noise", "a,b\n1\n2,3,4,5\n"])
def test_what_is_no_table_is_refused_too(house: Any, content: str) -> None:
    put(house)
    with pytest.raises(errors.InvalidInput, match=r"cannot be read as a table|breaks 'missing'"):
        add(house, content)
    assert versions(house) == []


def test_before_use_a_version_from_before_the_contract_is_looked_at_once(house: Any) -> None:
    asset = add(house, BAD)
    contracts.before_use(house.contexts, house.actor("service:jobs"), asset)  # no contract yet
    put(house)
    for _ in range(2):
        with pytest.raises(errors.InvalidInput, match="rides:1 breaks its contract"):
            contracts.before_use(house.contexts, house.actor("service:jobs"), asset)
    assert len(told(house, "contract.broken")) == 1
    with pytest.raises(errors.InvalidInput, match="rides:1"), house.read("ada", "dev") as ctx:
        contracts.refuse_known(ctx, asset)
    put(house, CONTRACT + "on_break: alert\n")
    contracts.before_use(house.contexts, house.actor("service:jobs"), asset)


def test_what_was_fresh_enough_may_be_stale_when_it_is_used(house: Any) -> None:
    text = "$schema: doubleloop/contract\ndata: rides\ncolumns: {at: datetime}\nfreshness: {column: at, within: 2d}\n"
    put(house, text)
    now = datetime(2026, 3, 10, tzinfo=UTC)
    asset = add_at(house, now, f"at\n{now - timedelta(days=1):%Y-%m-%d %H:%M:%S}\n")
    contracts.before_use(replace(house.contexts, now=lambda: now), house.actor("service:jobs"), asset)
    later = replace(house.contexts, now=lambda: now + timedelta(days=2))
    with pytest.raises(errors.InvalidInput, match="freshness"):
        contracts.before_use(later, house.actor("service:jobs"), asset)


def add_at(house: Any, now: datetime, content: str) -> assets.Asset:
    contexts = replace(house.contexts, now=lambda: now)
    reference = stored(house, content)
    judged = contracts.look(contexts, house.actor("ada"), "dev", "rides", reference)
    with contexts.write(house.actor("ada"), "dev") as ctx:
        return commands.add_version(ctx, "rides", reference, "uri_file", judged=judged)


@pytest.mark.parametrize(
    ("change", "said", "line"),
    [
        (("data: rides\n", ""), "names no data asset", None), (("integer", "complex"), "complex", 5),
        (("at_most: 23", "at_most: late"), "late", 5), (("in: [oslo, rome]", "matches: '(?=a)b'"), "regular", 6),
        (("unique: true", "unique: perhaps"), "perhaps", 7), (("name: rides", "on_break: shout"), "shout", 2),
    ],
)  # fmt: skip
def test_a_contract_that_cannot_be_is_refused_with_its_line(
    house: Any, change: tuple[str, str], said: str, line: int | None
) -> None:
    with pytest.raises(errors.InvalidInput, match=said) as refused:
        put(house, CONTRACT.replace(*change))
    assert line is None or (refused.value.where is not None and refused.value.where.line == line)
    assert told(house, "contract.created") == []


def test_who_may_not_write_data_attaches_no_contract(house: Any) -> None:
    with pytest.raises(errors.NotPermitted):
        put(house, by="eve")
    put(house)
    with pytest.raises(errors.NotPermitted), house.write("eve", "dev") as ctx:
        contracts.delete(ctx, "rides")
    assert put(house).hash == put(house).hash and len(told(house, "contract.created", "contract.changed")) == 1


def test_what_a_contract_calls_a_text_is_read_as_it_is_written(house: Any) -> None:
    """A CSV knows no types: 01234 would come as the number 1234."""
    put(house, "data: rides\ncolumns:\n  zip: {type: string, matches: '[0-9]{5}'}\n  day: string\n  n: integer\n")
    assert add(house, "zip,day,n\n01234,2026-01-01,1\n00007,2026-01-02,2\n").version == "1"
    with pytest.raises(errors.InvalidInput, match="breaks 'matches' in 1 rows"):
        add(house, "zip,day,n\n01234,2026-01-01,1\n7,2026-01-02,2\n")


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ("columns: {a: {at_least: 5, at_most: 1}}", "5 is more than at_most, 1"),
        ("rows: {at_least: 10, at_most: 2}", "10 is more than at_most, 2"),
        ("columns: {a: {matches: '(?=x)y'}}", "look-around is not supported"),
        ("columns: {a: {at_least: tomorrow}}", "'tomorrow' is neither a number nor a date"),
    ],
)
def test_a_contract_that_nothing_can_keep_is_refused_with_its_line(house: Any, columns: str, says: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        put(house, f"$schema: doubleloop/contract\ndata: rides\n{columns}\n")
    assert says in caught.value.what and caught.value.where and caught.value.where.line == 3
