"""Alerts open once, are acknowledged, silenced, resolved and reopened, each change a fact of whoever made it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from monitoring_watch import NOW, Watch

from doubleloop.base import errors
from doubleloop.identity import assignments
from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities
from doubleloop.identity.actions import Action
from doubleloop.monitoring import alerts, commands, model, queries, rules, workflows
from doubleloop.specs import documents

MONITOR = """
name: watch
trigger: {{type: recurrence, frequency: day, interval: 1}}
create_monitor:
  monitoring_target: {{ml_task: regression, endpoint_deployment_id: "azureml:bikes:blue"}}
  monitoring_signals:
    inputs: {{type: data_drift, data_segment: {{feature_name: city, feature_values: [rome]}}}}
{policy}
"""
MOVED = [
    {"column": "city", "distance": 0.4, "sentence": "city: rome 20 % → 60 %",
     "before": {"kind": "categorical", "top": [["oslo", 0.8], ["rome", 0.2]]},
     "after": {"kind": "categorical", "top": [["rome", 0.6], ["oslo", 0.3], ["lima", 0.1]]}},
    {"column": "x", "distance": 0.2, "sentence": "x: mean 1 → 2", "before": {"kind": "numerical", "mean": 1.0},
     "after": {"kind": "numerical", "mean": 2.0}},
]  # fmt: skip


class Life:
    """A monitor whose runs find what the test says, a day apart."""

    def __init__(self, watch: Watch, policy: str = "") -> None:
        self.watch, self.house, self.day = watch, watch.house, 0
        with self.house.write("linus", "prod") as ctx:
            commands.put(ctx, documents.parse(MONITOR.format(policy=policy), "m.yml", "/", kind="schedule"))

    def found(self, value: float | None, again: int | None = None) -> str:
        """A run; one over an earlier window when ``again`` says which day."""
        self.day += 1
        id_, as_of = f"run-{self.day}", NOW + timedelta(days=self.day if again is None else again)
        with self.house.write("linus", "prod") as ctx:
            commands.run_now(ctx, "watch", as_of, id_)
        bad = value is not None and value > 1
        metric = {"metric": "psi", "column": "city", "value": value, "threshold": 1.0, "alert": bad, "reason": ""}
        result = {"signal": "inputs", "type": "data_drift", "status": "alert" if bad else "ok", "reason": "",
                  "reference_rows": 9, "production_rows": 5, "metrics": [metric], "moved": MOVED}  # fmt: skip
        workflows.record(self.house.contexts, id_, {"signals": [result]})
        return id_

    def alert(self) -> model.Alert:
        return self.watch.alerts()[0]

    def do(self, verb: Callable[..., model.Alert], by: str = "linus", id_: str = "", **given: Any) -> model.Alert:
        id_ = id_ or self.alert().id
        with self.house.write(by, "prod") as ctx:
            return verb(ctx, id_, **given)

    def facts(self) -> list[tuple[str, str]]:
        found = self.watch.facts(
            "monitor.alert", "monitor.resolved", "alert.acknowledged", "alert.silenced", "alert.resolved",
            "alert.reopened",
        )  # fmt: skip
        return [(each.type, each.actor) for each in found]


@pytest.fixture
def life(watch: Watch) -> Life:
    return Life(watch)


def test_an_alert_tells_what_moved_in_numbers_and_whom_it_concerns(life: Life) -> None:
    life.found(2.0)
    alert = life.alert()
    assert (alert.state, alert.kind, alert.severity) == ("open", "model", "warning")
    assert alert.details["moved"] == MOVED
    assert alert.details["segments"] == [
        {"column": "city", "segment": "oslo", "before": 0.8, "after": 0.3},
        {"column": "city", "segment": "rome", "before": 0.2, "after": 0.6},
        {"column": "city", "segment": "lima", "before": 0.0, "after": 0.1},
    ]
    assert alert.details["data_segment"] == {"city": ["rome"]}
    (fact,) = life.watch.facts("monitor.alert")
    assert (fact.data["alert"], fact.data["tell"], fact.data["kind"]) == (alert.id, ["data_scientist"], "model")
    assert fact.data["segments"] == alert.details["segments"] and fact.data["moved"][0] == "city: rome 20 % → 60 %"


def test_errors_that_grew_tell_what_the_drift_of_the_same_run_saw_moving(life: Life) -> None:
    with life.house.write("linus", "prod") as ctx:
        commands.run_now(ctx, "watch", NOW, "one")
    metric = {"metric": "rmse", "column": "", "value": 9.0, "threshold": 1.0, "alert": True, "reason": ""}
    errors_ = {"signal": "errors", "type": "model_performance", "status": "alert", "reason": "", "reference_rows": 9,
               "production_rows": 9, "metrics": [metric], "moved": []}  # fmt: skip
    drift = {**errors_, "signal": "inputs", "type": "data_drift", "status": "ok", "metrics": [], "moved": MOVED}
    disk = {**errors_, "signal": "machine", "type": "compute_health"}
    workflows.record(life.house.contexts, "one", {"signals": [errors_, drift, disk]})
    found = {each.signal: each.details for each in life.watch.alerts()}
    assert (found["errors"]["moved"], found["errors"]["moved_by"]) == (MOVED, "inputs")
    assert found["errors"]["segments"][0]["segment"] == "oslo"
    assert found["machine"]["moved"] == [], "no column has filled the disk"


def test_a_label_that_may_hide_behind_the_most_frequent_ones_is_no_segment() -> None:
    five = [[name, 0.2] for name in "abcde"]
    before, after = {"top": five}, {"top": [["z", 1.0]]}
    found = rules.segments([{"column": "c", "before": before, "after": after}])
    assert {each["segment"] for each in found} == set("abcde")  # z may have had a share too small to be kept


def test_the_same_metric_opens_one_alert_and_a_good_window_ends_it(life: Life) -> None:
    for value in (2.0, 3.0, None, 0.5, 4.0):
        life.found(value)
    newest, first = life.watch.alerts()
    assert (first.state, first.value, first.last_value) == ("resolved", 2.0, 3.0)
    assert (newest.state, newest.value) == ("open", 4.0)
    assert [kind for kind, _ in life.facts()] == ["monitor.alert", "monitor.resolved", "monitor.alert"]


def test_acknowledging_is_on_record_with_who_and_why_and_twice_is_once(life: Life) -> None:
    life.found(2.0)
    for _ in range(2):
        life.do(alerts.acknowledge, comment="looking into it")
    life.found(2.5)
    alert = life.alert()
    assert (alert.state, alert.changed_by, alert.comment) == ("acknowledged", "linus", "looking into it")
    assert life.facts() == [("monitor.alert", "service:monitor"), ("alert.acknowledged", "linus")]
    (fact,) = life.watch.facts("alert.acknowledged")
    assert (fact.data["before"], fact.data["comment"], fact.data["value"]) == ("open", "looking into it", 2.0)
    assert [each["action"] for each in fact.context["permitted"]] == ["alert.write"]
    life.found(0.1)
    assert life.alert().state == "resolved"


def test_what_was_called_resolved_and_is_bad_still_is_open_again(life: Life) -> None:
    life.found(2.0)
    life.do(alerts.resolve, comment="rolled back")
    life.found(3.0)
    alert = life.alert()
    assert (alert.state, alert.resolved_at, len(life.watch.alerts())) == ("open", None, 1)
    assert life.facts()[-1] == ("alert.reopened", "service:monitor")
    life.do(alerts.resolve)
    life.found(0.5)  # a run agrees: the next time is another alert
    life.found(2.0)
    assert [each.state for each in life.watch.alerts()] == ["open", "resolved"]


def later(life: Life, moment: datetime) -> int:
    contexts = replace(life.house.contexts, now=lambda: moment)
    with contexts.write(workflows.ACTOR) as ctx:
        return len(alerts.end_silences(ctx)) if alerts.silences_over(ctx) else 0


def test_silence_ends_by_the_clock_and_what_is_bad_still_is_open_again(life: Life) -> None:
    life.found(2.0)
    until = datetime.now(UTC) + timedelta(hours=2)
    life.do(alerts.silence, until=until, comment="deployment")
    life.found(3.0)
    assert life.alert().state == "silenced" and later(life, until - timedelta(seconds=1)) == 0
    assert [later(life, until), later(life, until)] == [1, 0]
    assert (life.alert().state, life.facts()[-1][0]) == ("open", "alert.reopened")


def test_a_silenced_metric_that_goes_and_comes_is_silent_still(life: Life) -> None:
    life.found(2.0)
    life.do(alerts.silence, length=timedelta(hours=2))
    life.found(0.5)
    life.found(3.0)
    newest, first = life.watch.alerts()
    assert (newest.state, first.state, newest.silenced_until) == ("silenced", "resolved", first.silenced_until)
    assert len(life.watch.facts("monitor.alert")) == 1, "nobody is told again"


def test_a_person_reopens_what_they_put_away(life: Life) -> None:
    life.found(2.0)
    life.do(alerts.silence, length=timedelta(hours=2))
    assert life.do(alerts.reopen).silenced_until is None
    life.found(0.5)
    old = life.alert().id
    life.do(alerts.reopen, comment="not so fast")
    assert life.alert().state == "open"
    life.found(0.5)
    life.found(2.0)
    with pytest.raises(errors.Conflict, match="newer alert"):
        life.do(alerts.reopen, id_=old)


def test_alerts_wait_for_so_many_windows_of_so_many_when_the_file_asks(watch: Watch) -> None:
    life = Life(watch, "  alert_policy: {windows: 3, of: 5}")
    states = []
    for value in (2.0, 0.5, None, 2.0, 0.5, 2.0, 2.0, 0.5, 0.5, 0.5):
        life.found(value)
        states.append([each.state.value for each in life.watch.alerts()])
    # crossings  X . X . X | X → 3 of the last 5 at the sixth; windows without a value do not count
    assert states[4] == [] and states[5] == ["open"] and states[7] == ["open"] and states[9] == ["resolved"]


def test_of_two_runs_over_one_window_the_newer_counts(watch: Watch) -> None:
    life = Life(watch, "  alert_policy: {windows: 2, of: 2}")
    life.found(2.0)
    life.found(0.5, again=1)
    life.found(2.0)
    assert life.watch.alerts() == []


@pytest.mark.parametrize(
    ("policy", "kind", "told"),
    [
        ("{severity: critical}", "model", ("data_scientist", "project_lead")),
        ("{tell: [product owner]}", "model", ("product_owner",)),
        ("{}", "infrastructure", ("platform_support",)), ("{}", "cost", ("product_owner",)),
    ],
)  # fmt: skip
def test_who_is_told_follows_from_what_it_is_about(watch: Watch, policy: str, kind: str, told: tuple[str, ...]) -> None:
    text = MONITOR.format(policy=f"  alert_policy: {policy}")
    chosen = rules.policy(documents.parse(text, "m.yml", "/", kind="schedule").model.create_monitor.alert_policy)
    assert rules.audience(model.AlertKind(kind), chosen) == told


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "needs an end"), ({"length": timedelta(0)}, "over already"),
        ({"length": timedelta(days=9999999)}, "a year at most"), ({"until": NOW}, "over already"),
        ({"length": timedelta(hours=1), "until": NOW}, "needs an end"),
    ],
)  # fmt: skip
def test_a_silence_without_a_sensible_end_is_refused(life: Life, given: dict[str, Any], said: str) -> None:
    life.found(2.0)
    with pytest.raises(errors.InvalidInput, match=said):
        life.do(alerts.silence, **given)
    assert life.alert().state == "open"


@pytest.mark.parametrize("policy", ["{windows: 3, of: 2}", "{windows: 0}", "{tell: [nobody]}", "{severity: dire}"])
def test_a_policy_that_cannot_be_is_refused_with_its_line(watch: Watch, policy: str) -> None:
    with pytest.raises(errors.InvalidInput) as refused:
        Life(watch, f"  alert_policy: {policy}")
    assert refused.value.where is not None and refused.value.where.line == 8


def test_resolved_alerts_and_those_of_other_workspaces_are_not_changed(life: Life) -> None:
    life.found(2.0)
    id_ = life.alert().id
    life.do(alerts.resolve)
    for verb, given in ((alerts.acknowledge, {}), (alerts.silence, {"length": timedelta(hours=1)})):
        with pytest.raises(errors.Conflict, match="resolved"):
            life.do(verb, **given)
    with pytest.raises(errors.NotFound), life.house.write("linus", "dev") as ctx:
        alerts.resolve(ctx, id_)
    with pytest.raises(errors.InvalidInput, match="not a state"), life.house.read("linus", "prod") as ctx:
        queries.alerts(ctx, states=["broken"])


def test_in_production_data_scientists_read_alerts_and_need_a_role_to_change_them(life: Life) -> None:
    """As the persona tables say: Monitoring Reader there."""
    life.found(2.0)
    with life.house.read("ada", "prod") as ctx:
        assert queries.alert(ctx, life.alert().id).state == "open"
    with pytest.raises(errors.NotPermitted):
        life.do(alerts.acknowledge, "ada")
    with life.house.write("service:setup", None) as ctx:
        assignments.put(ctx, "user:ada", "MC", workspace="prod", resource="monitor/watch")
    assert life.do(alerts.acknowledge, "ada").state == "acknowledged"
    with life.house.read("ada", "dev") as ctx:
        assert identity.decide(ctx, Action.ALERT_WRITE).allowed, "Monitoring Contributor before production"
    assert identities.Persona.DATA_SCIENTIST.value in life.alert().details["tell"]


def test_a_run_that_looks_back_changes_nothing_of_what_a_newer_window_found(life: Life) -> None:
    life.found(1.0)
    life.found(3.0)
    life.found(0.5, again=1)
    life.found(9.0, again=1)
    assert (life.alert().state, life.alert().last_value) == (model.AlertState.OPEN, 3.0)
    assert not life.watch.facts("monitor.resolved")


def put(life: Life, text: str) -> None:
    with life.house.write("linus", "prod") as ctx:
        commands.put(ctx, documents.parse(text, "m.yml", "/", kind="schedule"))


def test_what_no_run_will_look_at_again_is_over_and_stands_in_nobodys_way(life: Life) -> None:
    text = MONITOR.format(policy="")
    life.found(3.0)
    put(life, text.replace("inputs:", "others:"))
    (over,) = life.watch.facts("alert.resolved")
    assert (over.data["why"], life.alert().state) == ("its monitor looks at it no more", model.AlertState.RESOLVED)
    put(life, text)
    life.found(4.0)
    assert len(life.watch.alerts()) == 2, "a new episode, which is told"
    with life.house.write("linus", "prod") as ctx:
        commands.delete(ctx, "watch")
    assert [each.data["why"] for each in life.watch.facts("alert.resolved")][1:] == ["its monitor was deleted"]
    put(life, text)
    life.found(5.0)
    assert len(life.watch.facts("monitor.alert")) == 3


def test_a_metric_that_is_asked_for_no_more_has_no_alert(life: Life) -> None:
    life.found(3.0)
    found = {"signal": "inputs", "type": "data_drift", "status": "ok", "reason": "", "reference_rows": 9,
             "production_rows": 5, "moved": [],
             "metrics": [{"metric": "other", "column": "x", "value": 0.0, "threshold": 1.0, "alert": False,
                          "reason": ""}]}  # fmt: skip
    with life.house.write("linus", "prod") as ctx:
        commands.run_now(ctx, "watch", NOW + timedelta(days=9), "late")
    workflows.record(life.house.contexts, "late", {"signals": [found]})
    assert life.alert().state is model.AlertState.RESOLVED


def test_a_trigger_that_never_falls_due_is_refused_with_its_line(watch: Watch) -> None:
    text = MONITOR.format(policy="").replace(
        "type: recurrence, frequency: day, interval: 1", 'type: cron, expression: "0 0 30 2 *"'
    )
    with (
        watch.house.write("linus", "prod") as ctx,
        pytest.raises(errors.InvalidInput, match="never falls due") as caught,
    ):
        commands.put(ctx, documents.parse(text, "m.yml", "/", kind="schedule"))
    assert caught.value.where is not None and caught.value.where.line == 3
