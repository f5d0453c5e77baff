"""The judgement of releases, case by case."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from doubleloop.base import errors
from doubleloop.releases import model, rules


def release(number: int, status: str = "running", position: int = 1, **changes: Any) -> model.Release:
    values: dict[str, Any] = {
        "id": f"release-{number}", "number": number, "definition": "d", "definition_version": 1, "model": "bikes",
        "version": "1", "candidate": "2", "status": model.Status(status), "position": position, "workspace": "prod",
        "phase": "", "topic": "", "reasons": (), "trigger": {"type": "manual"}, "ending": None, "created_by": "ada",
        "created_at": None,
    }  # fmt: skip
    return model.Release(**{**values, **changes})


@given(
    some.dictionaries(some.sampled_from(["a", "b", "c", "d"]), some.integers(0, 100), max_size=4),
    some.integers(1, 100),
)
def test_shares_are_whole_and_add_up_to_a_hundred(before: dict[str, int], percent: int) -> None:
    shared = rules.shares(before, "new", percent)
    assert sum(shared.values()) == 100
    assert all(share > 0 for share in shared.values())
    if any(before.values()):
        assert shared["new"] == percent


@pytest.mark.parametrize(
    ("before", "percent", "after"),
    [
        ({"blue": 100}, 10, {"new": 10, "blue": 90}),
        ({"blue": 70, "green": 30}, 10, {"new": 10, "blue": 63, "green": 27}),
        ({"blue": 50, "green": 50}, 5, {"new": 5, "blue": 48, "green": 47}),
        ({"blue": 100}, 100, {"new": 100}),
        ({}, 10, {"new": 100}),
        ({"blue": 0}, 10, {"new": 100}),
        ({"new": 10, "blue": 90}, 50, {"new": 50, "blue": 50}),
    ],
)
def test_the_rest_keeps_its_proportions(before: dict[str, int], percent: int, after: dict[str, int]) -> None:
    assert rules.shares(before, "new", percent) == after


def test_what_falls_out_is_made_up_for_by_the_rest() -> None:
    assert rules.rescaled({"a": 30, "b": 30}) == {"a": 50, "b": 50}
    assert rules.rescaled({"a": 90}) == {"a": 100}
    assert rules.rescaled({}) == {}


def test_with_nothing_there_all_traffic_moves_at_once() -> None:
    assert rules.rollout_steps([10, 50, 100], {"blue": 100}) == [10, 50, 100]
    assert rules.rollout_steps([10, 50, 100], {}) == [100]


@pytest.mark.parametrize(("bake", "count"), [(0, 1), (2, 1), (60, 12), (3600, 20)])
def test_a_bake_is_watched_all_along(bake: float, count: int) -> None:
    waits = rules.looks(bake)
    assert len(waits) == count
    assert sum(waits) == pytest.approx(bake)


@pytest.mark.parametrize(
    ("other", "overtaken"),
    [
        (release(1, "running"), True),
        (release(1, "waiting"), True),
        (release(1, "rolling_out"), False),
        (release(1, "completed"), False),
        (release(1, "waiting", position=2), False),  # it has come further
        (release(3, "waiting"), False),  # it is newer
    ],
)
def test_a_release_overtakes_older_ones_that_have_come_no_further(other: model.Release, overtaken: bool) -> None:
    assert rules.overtaken(release(2), [other]) == ([other] if overtaken else [])


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (release(1, "completed"), "go"),
        (release(1, "rolling_out"), "wait"),
        (release(3, "running"), "go"),
        (release(3, "waiting"), "go"),
        (release(3, "rolling_out"), "superseded"),
        (release(3, "rolling_out", position=0), "wait"),
        (release(3, "completed"), "superseded"),
        (release(3, "failed"), "go"),
    ],
)
def test_one_release_of_a_definition_moves_traffic_and_never_an_older_one_after_a_newer(
    other: model.Release, said: str
) -> None:
    assert rules.turn(release(2), [release(2), other])[0] == said


@pytest.mark.parametrize(
    ("definition", "endpoint", "status", "said"),
    [
        ("e", "live", "rolling_out", "wait"),
        ("e", "other", "rolling_out", "go"),
        ("e", "live", "waiting", "go"),
        ("e", "live", "completed", "go"),  # the champion tells whether what was judged still stands
    ],
)
def test_one_release_moves_the_traffic_of_an_endpoint_whatever_its_definition(
    definition: str, endpoint: str, status: str, said: str
) -> None:
    def at(place: str) -> tuple[model.Stage, ...]:
        return tuple(model.Stage("r", position, "prod", endpoint=place) for position in range(2))

    other = release(3, status, definition=definition, stages=at(endpoint))
    assert rules.turn(release(2, stages=at("live")), [other])[0] == said


def test_a_comparison_stands_as_long_as_the_champion_does() -> None:
    assert rules.champion_moved("3", "3") == ""
    assert rules.champion_moved(None, "4") == ""
    assert "compared with the champion 3, but the champion is now 4" in rules.champion_moved("3", "4")
    assert "champion no version, but the champion is now 4" in rules.champion_moved("", "4")


def test_everybody_who_had_a_hand_in_it_is_an_author() -> None:
    definition = SimpleNamespace(created_by="dora")
    version = SimpleNamespace(name="bikes", version="2", created_by="mia", authors=("mia", "noor"))
    job = SimpleNamespace(id="job-1", created_by="omar")
    started = release(1, created_by="service:automation", trigger={"type": "rule", "author": "rita"})
    wrote = {"gus": "f" * 40, "omar": "f" * 40}
    found = rules.authors(started, [definition], [version], [job], wrote)  # type: ignore[arg-type]
    assert found == {
        "dora": "wrote the release definition",
        "rita": "wrote the rule that started the release",
        "mia": "registered bikes:2 and made bikes:2",
        "noor": "made bikes:2",
        "omar": "started the job job-1 and wrote the commit ffffffffffff of the code",
        "gus": "wrote the commit ffffffffffff of the code",
    }


@pytest.mark.parametrize(
    ("reference", "pinned"),
    [
        ("azureml:holdout:1", True),
        ("holdout:1", True),
        ("azureml:holdout@production", True),
        ("azureml:holdout@latest", False),
        ("azureml:holdout", False),
        ("tree:sha256:" + "0" * 64, True),
        ("azureml://registries/r/data/holdout/versions/3", True),
        ("azureml://registries/r/data/holdout/labels/latest", False),
    ],
)
def test_a_hold_out_means_rows_that_somebody_chose(reference: str, pinned: bool) -> None:
    assert rules.pinned(reference) is pinned


def test_a_signature_is_the_hold_outs_columns_without_its_target() -> None:
    columns = [("a", "Int64", False), ("b", "Int64", True), ("c", "String", False), ("y", "Float64", False)]
    found = rules.infer_signature(columns, "y", None)["inputs"]
    assert [(each["name"], each["type"]) for each in found] == [("a", "long"), ("b", "double"), ("c", "string")]
    assert [each["name"] for each in rules.infer_signature(columns, "y", ["c", "a"])["inputs"]] == ["c", "a"]
    with pytest.raises(errors.InvalidInput, match="no column 'z'"):
        rules.infer_signature(columns, "y", ["z"])
    with pytest.raises(errors.InvalidInput, match="of type List"):
        rules.infer_signature([("l", "List", False)], "y", None)
