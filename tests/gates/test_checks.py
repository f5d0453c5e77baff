"""Each check judges what was measured, and says why."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from fairlearn import metrics as fairlearn
from sklearn import metrics as sklearn

from doubleloop.base import errors
from doubleloop.base.verdicts import Outcome
from doubleloop.frames import contracts
from doubleloop.gates.checks import data_quality, endpoint_performance, model_quality, responsible_ai, scan, unit_tests

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def held(columns: dict[str, Any], table: dict[str, Any], **contract: Any) -> list[str]:
    """The rules that are broken, as 'column rule count'."""
    parsed = contracts.parse({"columns": columns, **contract})
    measured = contracts.measure(parsed, pl.DataFrame(table), NOW)
    return [f"{each['column']} {each['rule']} {each['count']}" for each in measured["violations"]]


@pytest.mark.parametrize(
    ("rule", "values", "broken"),
    [
        ({"type": "integer"}, [1, 2, None], []),
        ({"type": "integer"}, [1.0, 2.0, None], []),
        ({"type": "integer"}, [1.5], ["x type 1"]),
        ({"type": "integer"}, [float("inf")], ["x type 1"]),
        ({"type": "number"}, [1, 2], []),
        ({"type": "number"}, ["1"], ["x type 1"]),
        ({"type": "string"}, ["a"], []),
        ({"type": "boolean"}, [True, None], []),
        ({"type": "datetime"}, ["2020-01-01T10:00:00Z", None], []),
        ({"type": "datetime"}, ["yesterday"], ["x type 1"]),
        ({"type": "date"}, [date(2020, 1, 1)], []),
        ({"type": "integer"}, [None, None], []),
        ({"nullable": False}, [1, None, 3], ["x nullable 1"]),
        ({"nullable": False}, [1.0, float("nan")], ["x nullable 1"]),
        ({"null_share": 0.5}, [1, None], []),
        ({"null_share": 0.4}, [1, None], ["x nullable 1"]),
        ({"at_least": 0}, [-1, 0, 1], ["x at_least 1"]),
        ({"at_most": 5, "outside_share": 0.5}, [6, 5], []),
        ({"min": 0, "max": 5}, [-1, 6, 3], ["x at_least 1", "x at_most 1"]),
        ({"type": "datetime", "at_least": "2020-01-01"}, [datetime(2019, 1, 1, tzinfo=UTC)], ["x at_least 1"]),
        ({"in": [1, 2]}, [1, 2.0, 3], ["x in 1"]),
        ({"in": ["a"]}, ["a", "b", None], ["x in 1"]),
        ({"in": [True]}, [True, False], ["x in 1"]),
        ({"matches": "[a-z]+"}, ["ab", "ab1"], ["x matches 1"]),
        ({"unique": True}, [1, 1, 2], ["x unique 2"]),
    ],
)
def test_a_column_rule_finds_exactly_the_rows_that_break_it(rule: Any, values: list[Any], broken: list[str]) -> None:
    table = {"x": pl.Series(values, strict=False)}
    assert held({"x": rule}, table) == broken


def test_the_table_as_a_whole_is_held_against_the_contract() -> None:
    table = {"x": [1, 1], "y": [1, 1], "z": [0, 0]}
    found = held(
        {"x": {}, "y": {}, "w": {}, "v": {"required": False}}, table, rows={"at_least": 3}, unique=[["x", "y"]],
        extra_columns="refuse",
    )  # fmt: skip
    assert found == [" rows 1", "z extra 1", "w missing 1", "x + y unique 2"]


def test_freshness_is_the_age_of_the_newest_value() -> None:
    table = {"at": [datetime(2026, 2, 27, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)]}
    assert held({"at": {}}, table, freshness={"column": "at", "within": "2d"}) == []
    assert held({"at": {}}, table, freshness={"column": "at", "within": "47h"}) == ["at freshness 1"]


def test_a_violation_is_told_with_its_column_count_and_an_example() -> None:
    parsed = contracts.parse({"columns": {"fare": {"type": "number", "at_least": 0}}})
    verdict = data_quality.judge({}, contracts.measure(parsed, pl.DataFrame({"fare": [3.0, -1.5]}), NOW))
    assert verdict.reasons == (
        "column fare breaks 'at_least' in 1 rows (50.00%): expected at least 0 (e.g. row 1: -1.5)",
    )
    assert verdict.outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("contract", "words"),
    [
        ({"columns": {"x": {"typ": "integer"}}}, r"Did you mean 'type'"),
        ({"columns": {"x": {"type": "complex"}}}, "'complex' is not a type"),
        ({"columns": {"x": {"matches": "("}}}, "not a regular expression"),
        ({"columns": {"x": {"at_least": "much"}}}, "must be a number"),
        ({"columns": {"x": {"null_share": 2}}}, "from 0 to 1"),
        ({"columns": {}}, "asks for nothing"),
        ({"columns": {"x": {}}, "freshness": {"column": "x"}}, "within what time"),
    ],
)
def test_a_contract_that_cannot_be_right_is_refused(contract: Any, words: str) -> None:
    with pytest.raises(errors.InvalidInput, match=words):
        contracts.parse(contract)


REPORT = b"""<?xml version="1.0"?><testsuites><testsuite tests="99" failures="0">
<testcase classname="t.a" name="one"/><testcase classname="t.a" name="two"><failure message="no"/></testcase>
<testcase classname="t.a" name="three"><skipped/></testcase><testcase classname="t.b" name="four"><error/></testcase>
</testsuite></testsuites>"""


def test_tests_are_counted_case_by_case_whatever_the_report_claims() -> None:
    assert unit_tests.parse(REPORT) == {
        "tests": 4, "failures": 1, "errors": 1, "skipped": 1, "failing": ["t.a::two", "t.b::four"]
    }  # fmt: skip


@pytest.mark.parametrize("report", [b"<!DOCTYPE x [<!ENTITY a 'b'>]><testsuite/>", b"not xml", b"x" * (33 << 20)])
def test_a_report_that_is_no_plain_small_xml_is_refused(report: bytes) -> None:
    with pytest.raises(errors.InvalidInput):
        unit_tests.parse(report)


def counts(tests: int, failures: int = 0, errors_: int = 0, skipped: int = 0) -> dict[str, Any]:
    return {"tests": tests, "failures": failures, "errors": errors_, "skipped": skipped, "failing": ["t::x"] * failures}


@pytest.mark.parametrize(
    ("measured", "outcome", "words"),
    [
        ({"exit_code": 0, "report": counts(3)}, Outcome.PASSED, "3 tests passed"),
        ({"exit_code": 1, "report": counts(3, failures=1)}, Outcome.FAILED, "exit code 1"),
        ({"exit_code": 0, "report": counts(3, failures=1)}, Outcome.FAILED, "1 of 3 tests failed: t::x"),
        ({"exit_code": 5, "report": counts(0)}, Outcome.FAILED, "no tests collected"),
        ({"exit_code": 0, "report": counts(2, skipped=2)}, Outcome.FAILED, "no test ran (2 collected, 2 skipped)"),
        ({"exit_code": 0, "report": None}, Outcome.FAILED, "left no test report"),
        ({"exit_code": None, "reason": "timeout", "report": None}, Outcome.FAILED, "did not end: timeout"),
    ],
)
def test_only_tests_that_ran_and_passed_count(measured: Any, outcome: Outcome, words: str) -> None:
    verdict = unit_tests.judge({"command": "pytest"}, measured)
    assert verdict.outcome is outcome
    assert words in "\n".join(verdict.reasons)


def scored(value: float | None, model: str = "bikes:2", data: Any = ("data:r/train:1",), **more: Any) -> dict[str, Any]:
    return {"model": model, "value": value, "training_data": [{"id": d, "digest": "d-" + d} for d in data], **more}


def quality(check: Any, candidate: Any, champion: Any = None) -> tuple[Outcome, str]:
    holdout = {"id": "data:r/holdout:1", "digest": "d-holdout", "rows": 100}
    verdict = model_quality.judge(check, {"holdout": holdout, "candidate": candidate, "champion": champion})
    return verdict.outcome, "\n".join(verdict.reasons)


CHAMPION = {"champion": {"tolerance": 0.02}}


@pytest.mark.parametrize(
    ("check", "candidate", "champion", "outcome", "words"),
    [
        ({"metric": "rmse", "at_most": 4.0}, 4.0, None, Outcome.PASSED, "rmse 4, must be at most 4"),
        ({"metric": "rmse", "at_most": 4.0}, 4.1, None, Outcome.FAILED, "rmse 4.1, must be at most 4"),
        ({"metric": "r2", "at_least": 0.8}, 0.7, None, Outcome.FAILED, "must be at least 0.8"),
        ({"metric": "rmse", **CHAMPION}, 4.0, None, Outcome.PASSED, "no champion yet"),
        ({"metric": "rmse", **CHAMPION}, 3.0, 4.0, Outcome.PASSED, "better than the champion bikes:1 with 4 by 25.00%"),
        ({"metric": "rmse", **CHAMPION}, 4.08, 4.0, Outcome.PASSED, "worse than"),
        ({"metric": "rmse", **CHAMPION}, 4.09, 4.0, Outcome.FAILED, "by 2.25% (tolerance 2.00%)"),
        ({"metric": "accuracy", **CHAMPION}, 0.79, 0.8, Outcome.PASSED, "worse than"),
        ({"metric": "accuracy", **CHAMPION}, 0.78, 0.8, Outcome.FAILED, "worse than"),
        ({"metric": "rmse", "champion": {}}, 4.0, 4.0, Outcome.PASSED, "equal to"),
        ({"metric": "rmse", "champion": {}}, 4.0001, 4.0, Outcome.FAILED, "worse than"),
        ({"metric": "r2", "champion": {"tolerance": 0.1}}, -0.55, -0.5, Outcome.PASSED, "worse than"),
        ({"metric": "r2", "champion": {"tolerance": 0.1}}, -0.56, -0.5, Outcome.FAILED, "worse than"),
        ({"metric": "mae", "champion": {"tolerance": 0.5}}, 0.1, 0.0, Outcome.FAILED, "worse than"),
        ({"metric": "rmse", "at_most": 4.0}, None, None, Outcome.FAILED, "not a number"),
        ({"metric": "rmse", **CHAMPION}, float("nan"), 4.0, Outcome.FAILED, "not a number"),
        # Both must hold: better than a bad champion is not good enough.
        ({"metric": "rmse", "at_most": 3.0, **CHAMPION}, 3.5, 4.0, Outcome.FAILED, "must be at most 3"),
    ],
)
def test_the_candidate_is_held_against_limit_and_champion(
    check: Any, candidate: float | None, champion: float | None, outcome: Outcome, words: str
) -> None:
    against = None if champion is None else scored(champion, "bikes:1")
    found, reasons = quality(check, scored(candidate), against)
    assert found is outcome
    assert words in reasons


def test_a_hold_out_that_a_model_was_trained_on_decides_nothing() -> None:
    check = {"metric": "rmse", "at_most": 4.0, **CHAMPION}
    outcome, reasons = quality(check, scored(1.0, data=["data:r/holdout:1"]))
    assert outcome is Outcome.FAILED
    assert "the candidate bikes:2 was trained on the hold-out" in reasons
    outcome, reasons = quality(check, scored(1.0), scored(9.0, "bikes:1", data=["data:r/holdout:1"]))
    assert outcome is Outcome.FAILED
    assert "the champion bikes:1 was trained on the hold-out" in reasons


def test_a_copy_of_the_hold_out_under_another_name_is_found_out() -> None:
    cheat = {**scored(1.0), "training_data": [{"id": "data:r/innocent:1", "digest": "d-holdout"}]}
    outcome, reasons = quality({"metric": "rmse", "at_most": 4.0}, cheat)
    assert outcome is Outcome.FAILED
    assert "innocent:1 in its lineage has the same content" in reasons


def test_a_model_that_could_not_be_scored_fails_the_check() -> None:
    outcome, reasons = quality({"metric": "rmse", "at_most": 4.0}, scored(None, error="no column 'hour'"))
    assert outcome is Outcome.FAILED
    assert "no column 'hour'" in reasons


def test_silence_on_hard_rows_is_no_skill() -> None:
    with pytest.raises(errors.InvalidInput, match="no prediction for 1 of 3 rows"):
        model_quality.score("rmse", [1.0, 2.0, 3.0], [1.0, 2.0, float("nan")])


@pytest.mark.parametrize(
    ("metric", "reference"),
    [
        ("rmse", sklearn.root_mean_squared_error),
        ("mean_absolute_error", sklearn.mean_absolute_error),
        ("r2_score", sklearn.r2_score),
    ],
)
def test_metrics_are_those_of_scikit_learn(metric: str, reference: Any) -> None:
    draw = np.random.default_rng(3)
    truth, guess = draw.normal(size=200), draw.normal(size=200)
    assert model_quality.score(metric, truth, guess) == pytest.approx(reference(truth, guess))


@pytest.mark.parametrize(("metric", "reference"), [("auc", sklearn.roc_auc_score), ("log_loss", sklearn.log_loss)])
def test_metrics_of_scores_read_one_probability_a_row_or_one_for_each_class(metric: str, reference: Any) -> None:
    draw = np.random.default_rng(4)
    truth = draw.integers(0, 2, 200)
    chance = np.clip(draw.normal(0.3 + 0.4 * truth, 0.3), 0.01, 0.99)
    both = [[1 - each, each] for each in chance.tolist()]
    assert model_quality.score(metric, truth, chance) == pytest.approx(reference(truth, chance))
    assert model_quality.score(metric, truth, both) == pytest.approx(reference(truth, chance))
    with pytest.raises(errors.InvalidInput, match="no prediction for 1 of 200 rows"):
        model_quality.score(metric, truth, [[None, None], *both[1:]])
    with pytest.raises(errors.InvalidInput, match="several values a row, and accuracy takes one"):
        model_quality.score("accuracy", truth, both)
    assert (model_quality.greater_is_better("roc_auc"), model_quality.greater_is_better("log_loss")) == (True, False)


def test_an_unknown_metric_is_refused_with_the_known_ones() -> None:
    with pytest.raises(errors.InvalidInput, match="rmse"):
        model_quality.metric_name("goodness")


def people(rows: int = 400) -> tuple[Any, Any, Any]:
    draw = np.random.default_rng(5)
    group = np.where(draw.random(rows) < 0.6, "a", "b")
    truth = draw.integers(0, 2, rows)
    guess = np.where(draw.random(rows) < np.where(group == "a", 0.9, 0.6), truth, 1 - truth)
    return truth, guess, group


@pytest.mark.parametrize(
    ("metric", "reference"),
    [
        ("demographic_parity_difference", fairlearn.demographic_parity_difference),
        ("selection_rate_ratio", fairlearn.demographic_parity_ratio),
        ("equalized_odds_difference", fairlearn.equalized_odds_difference),
        ("equalized_odds_ratio", fairlearn.equalized_odds_ratio),
        ("equal_opportunity_difference", fairlearn.equal_opportunity_difference),
        ("false_positive_rate_difference", fairlearn.false_positive_rate_difference),
        ("accuracy_difference", fairlearn.accuracy_score_difference),
        ("accuracy_ratio", fairlearn.accuracy_score_ratio),
        ("accuracy_group_min", fairlearn.make_derived_metric(metric=sklearn.accuracy_score, transform="group_min")),
    ],
)
def test_fairness_metrics_are_those_of_fairlearn(metric: str, reference: Any) -> None:
    truth, guess, group = people()
    value = responsible_ai.measure(metric, truth, guess, {"g": group})["sensitive"]["g"]["value"]
    assert value == pytest.approx(reference(truth, guess, sensitive_features=group))


def test_labels_that_are_words_are_compared_like_numbers() -> None:
    truth, guess, group = people()
    words = np.array(["no", "yes"])
    value = responsible_ai.measure("selection_rate_difference", words[truth], words[guess], {"g": group})
    assert value["sensitive"]["g"]["value"] == pytest.approx(
        fairlearn.demographic_parity_difference(truth, guess, sensitive_features=group)
    )


def test_the_ratio_of_an_error_is_worst_over_best() -> None:
    truth = np.zeros(80)
    guess = np.repeat([1.0, 2.0], 40)
    found = responsible_ai.measure("mae_ratio", truth, guess, {"g": np.repeat(["a", "b"], 40)})
    assert found["sensitive"]["g"]["value"] == pytest.approx(2.0)
    check = {"metric": "mae_ratio", "at_most": 1.25}
    verdict = responsible_ai.judge(check, found)
    assert verdict.outcome is Outcome.FAILED
    assert verdict.reasons[0] == "mae_ratio between the groups of g is 2 (a: 1, b: 2), must be at most 1.25"


def test_small_groups_are_named_and_left_out() -> None:
    truth, guess = np.zeros(90), np.concatenate([np.ones(80), np.full(10, 9.0)])
    group = ["a"] * 40 + ["b"] * 40 + ["c"] * 10
    found = responsible_ai.measure("mae_difference", truth, guess, {"g": group})
    verdict = responsible_ai.judge({"metric": "mae_difference", "at_most": 0.1}, found)
    assert verdict.outcome is Outcome.PASSED
    assert "left out for having under 30 rows: c (10)" in verdict.reasons[1]


def test_one_group_alone_is_not_checked() -> None:
    found = responsible_ai.measure("mae_ratio", np.zeros(40), np.ones(40), {"g": ["a"] * 40})
    assert responsible_ai.judge({"metric": "mae_ratio", "at_most": 2}, found).outcome is Outcome.NOT_CHECKED


def test_a_missing_sensitive_value_is_a_group_of_its_own() -> None:
    found = responsible_ai.measure("mae_ratio", np.zeros(60), np.ones(60), {"g": ["a"] * 30 + [None] * 30})
    assert [each["group"] for each in found["sensitive"]["g"]["groups"]] == ["(missing)", "a"]


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ({"metric": "mae_ratio", "at_least": 0.8}, "1 or more"),
        ({"metric": "selection_rate_ratio", "at_most": 1.25}, "1 or less"),
        ({"metric": "accuracy_difference", "at_least": 0.1}, "0 for equal groups"),
        ({"metric": "niceness_ratio", "at_most": 1}, "not a metric"),
    ],
)
def test_a_limit_that_nothing_could_break_is_refused(check: Any, words: str) -> None:
    with pytest.raises(errors.InvalidInput, match=words):
        responsible_ai.check_bounds(check)


def load(**changes: Any) -> dict[str, Any]:
    return {
        "rate": 50, "duration_s": 10, "planned": 500, "errors": 0, "error_kinds": {}, "sent_on_time": 1.0,
        "latency_ms": {"p50": 5.0, "p95": 20.0, "p99": 90.0}, **changes,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("check", "measured", "outcome", "words"),
    [
        ({"p99_ms": 100}, load(), Outcome.PASSED, "p99 90.0 ms"),
        ({"p99_ms": 80}, load(), Outcome.FAILED, "p99 90.0 ms, allowed 80 ms"),
        ({"p99_ms": 80}, load(latency_ms={"p99": None}), Outcome.FAILED, "cannot be told"),
        ({"p99_ms": 100}, load(errors=1, error_kinds={"timeout": 1}), Outcome.FAILED, "1 × timeout"),
        ({"error_rate": 0.01}, load(errors=5), Outcome.PASSED, "5 of 500"),
        ({"error_rate": 0.01}, load(errors=6), Outcome.FAILED, "6 of 500"),
        ({"p99_ms": 100}, load(planned=0), Outcome.FAILED, "no request"),
        ({"p99_ms": 80}, load(sent_on_time=0.2), Outcome.FAILED, "this machine was too busy"),
    ],
)
def test_latency_and_errors_are_held_against_their_limits(check: Any, measured: Any, outcome: Outcome, words: str):  # type: ignore[no-untyped-def]
    verdict = endpoint_performance.judge(check, measured)
    assert verdict.outcome is outcome
    assert words in "\n".join(verdict.reasons)


def found(severity: str, id_: str = "GHSA-1") -> dict[str, Any]:
    return {"package": "p", "version": "1", "id": id_, "severity": severity}


def packages(*findings: Any) -> dict[str, Any]:
    return {"checked": True, "reason": "", "count": 9, "findings": list(findings)}


CLEAN = {"files": 4, "findings": []}
NO_DATABASE = {"checked": False, "reason": "there is no advisory database", "count": 9, "findings": []}


@pytest.mark.parametrize(
    ("check", "measured", "outcome", "words"),
    [
        ({}, {"model": CLEAN, "packages": packages()}, Outcome.PASSED, "4 model files"),
        ({}, {"model": CLEAN, "packages": NO_DATABASE}, Outcome.PASSED, "packages were not checked: there is no adv"),
        ({"model": False}, {"model": None, "packages": NO_DATABASE}, Outcome.NOT_CHECKED, "not checked"),
        ({}, {"model": {"files": 1, "findings": [{"file": "m.pkl", "what": "os.system"}]}, "packages": packages()},
         Outcome.FAILED, "m.pkl: os.system"),
        ({}, {"model": None, "packages": packages()}, Outcome.FAILED, "not looked at"),
        ({}, {"model": CLEAN, "packages": packages(found("critical"))}, Outcome.FAILED, "GHSA-1 (critical)"),
        ({}, {"model": CLEAN, "packages": packages(found(""))}, Outcome.FAILED, "severity unknown"),
        ({}, {"model": CLEAN, "packages": packages(found("medium"))}, Outcome.PASSED, "below high"),
        ({"severity": "low"}, {"model": CLEAN, "packages": packages(found("medium"))}, Outcome.FAILED, "GHSA-1"),
        ({"allow": ["GHSA-1"]}, {"model": CLEAN, "packages": packages(found("high"))}, Outcome.PASSED, "allowed"),
    ],
)  # fmt: skip
def test_unsafe_files_and_known_vulnerabilities_fail(check: Any, measured: Any, outcome: Outcome, words: str) -> None:
    verdict = scan.judge(check, measured)
    assert verdict.outcome is outcome
    assert words in "\n".join(verdict.reasons)
