"""Budgets of cost: real steps and deployments at declared prices, told of once, to who owns the money."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "jobs"))

from jobs_workshop import Workshop

from doubleloop.automation import loop
from doubleloop.base import errors
from doubleloop.cost import commands, model, queries, rules
from doubleloop.cost import store as _store  # noqa: F401  (declares its table before the house is built)
from doubleloop.db.context import Contexts
from doubleloop.durable import store as outbox
from doubleloop.endpoints import model as serving
from doubleloop.endpoints import store as deployments
from doubleloop.events import queries as events
from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities
from doubleloop.jobs import store as job_store
from doubleloop.specs import documents
from doubleloop.workspaces import declared

NOW = datetime(2026, 3, 11, tzinfo=UTC)  # ten of March's 31 days are over
JOB = """
type: pipeline
settings: {default_compute: azureml:small}
jobs:
  one: {type: command, command: "true", environment: azureml:base@latest, compute: azureml:big}
  two: {type: command, command: "true", environment: azureml:base@latest}
"""


class Books:
    def __init__(self, house: Any) -> None:
        self.house = house
        self.at = NOW
        self.contexts = Contexts(house.contexts.engine, house.ports, lambda: self.at)

    def declare(self, kind: str, name: str, **said: Any) -> None:
        with self.contexts.write(self.house.actor("service:setup")) as ctx:
            declared.put(ctx, kind, name, said)

    def budget(self, name: str, amount: float, **more: Any) -> None:
        said = {"workspace": "dev", "currency": "EUR", "period": "month", "alert_at": [80, 100], "notify": []}
        self.declare("budget", name, **{**said, "amount": amount, **more})

    def look(self, name: str, by: str = "grace", workspace: str = "dev") -> model.Standing:
        with self.contexts.read(self.house.actor(by), workspace) as ctx:
            return queries.standing(ctx, name)

    def ran(self, job: str, step: str, start: datetime, hours: float) -> None:
        """Another time of a step that ran."""
        values = {"started_at": start, "ended_at": start + timedelta(hours=hours)}
        with self.contexts.write(self.house.actor("service:setup")) as ctx:
            chosen = (job_store.STEPS.c.job == job) & (job_store.STEPS.c.name == step)
            ctx.tx.execute(job_store.STEPS.update().where(chosen).values(**values))

    def served(self, id_: str, start: datetime, **spec: Any) -> serving.Deployment:
        made = serving.Deployment(
            id_, "dev", "bikes", id_, serving.Status.READY, "", "m", "1", "", {"spec": spec}, None, "", "", {}, None,
            False, None, "ada", start, start,
        )  # fmt: skip
        with self.contexts.write(self.house.actor("service:setup"), "dev") as ctx:
            deployments.insert_deployment(ctx, made)
        return made

    def facts(self) -> list[Any]:
        with self.contexts.read(self.house.actor("service:setup")) as ctx:
            return events.facts(ctx, types=["budget.alert"])


@pytest.fixture
def books(house: Any) -> Books:
    return Books(house)


def test_steps_and_deployments_are_counted_at_the_price_of_their_compute(books: Books) -> None:
    shop = Workshop(books.house)
    job = shop.run(JOB)
    assert job.status == "completed", job.error
    again = shop.run(JOB)  # its steps take what the first has left
    books.at = datetime.now(UTC)
    for step in shop.steps(job.id).values():
        assert step.started_at and step.ended_at
    with books.contexts.read(books.house.actor("service:setup")) as ctx:
        taken = {(each.name, each.compute): each for each in queries.usage(ctx, books.at - timedelta(days=1))}
    assert set(taken) == {(job.id, "big"), (job.id, "small")}, f"{again.id} computed nothing"
    one = shop.steps(job.id)["one"]
    assert (taken[job.id, "big"].start, taken[job.id, "big"].end) == (one.started_at, one.ended_at)

    books.at = NOW
    books.declare("compute", "local", type="local", price_per_hour=0.1)
    books.declare("compute", "big", type="amlcompute", size="Standard_X", price_per_hour=1.25)
    books.declare("compute", "dollars", type="amlcompute", price_per_hour=3, currency="USD")
    books.ran(job.id, "one", NOW - timedelta(days=2), 4)  # 4 h × 1.25 = 5
    books.ran(job.id, "two", datetime(2026, 2, 28, 23, tzinfo=UTC), 2)  # 1 h is March's, × 0.1
    over = books.served("over", NOW - timedelta(hours=30), instance_type="Standard_X", instance_count=2)
    books.served("here", NOW - timedelta(hours=10))  # this machine: 10 h × 0.1 = 1
    books.served("abroad", NOW - timedelta(hours=3), instance_type="dollars")
    books.at = NOW - timedelta(hours=20)
    with books.contexts.write(books.house.actor("service:setup"), "dev") as ctx:
        deployments.switch_status(ctx, over, serving.Status.REPLACED)  # 10 h × 2 × 1.25 = 25
    books.at = NOW
    with books.contexts.write(books.house.actor("service:setup"), "dev") as ctx:
        ended = deployments.deployment(ctx, "over")
        assert ended is not None
        deployments.switch_status(ctx, ended, serving.Status.DELETED)

    books.budget("all", 100)
    books.budget("big", 100, compute="big")
    books.budget("bikes", 100, endpoint="bikes")
    books.budget("house", 100, workspace=None)
    books.budget("elsewhere", 100, workspace="prod")
    found = books.look("all")
    assert found.spent == Decimal("31.1")
    assert (found.start, found.end) == (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
    (unpriced,) = found.unpriced
    assert (unpriced.compute, unpriced.hours, unpriced.why) == ("dollars", 3, "the price of compute dollars is in USD")
    assert [(line.kind, line.cost) for line in found.lines[:2]] == [("endpoint", 25), ("job", 5)]
    assert books.look("big").spent == 5, "a deployment is of its instance type, a job's step of its compute"
    assert books.look("bikes").spent == 26
    assert books.look("house", by="service:setup").spent == Decimal("31.1")
    with pytest.raises(errors.NotFound, match="No budget is named 'elsewhere' in dev"):
        books.look("elsewhere")


def test_a_threshold_is_told_once_in_a_period_to_who_owns_the_money(books: Books) -> None:
    with books.contexts.write(books.house.actor("service:setup")) as ctx:
        identity.create_user(ctx, "mary")
        owners = identities.Group("owners", identities.Persona.PRODUCT_OWNER, ("mary",), (), notify="chat")
        declared.put(ctx, "notification", "chat", {"url": "json://127.0.0.1/x"})
        declared.put(ctx, "notification", "team", {"url": "json://127.0.0.1/y"})
        identity.put_group(ctx, owners)
    books.declare("compute", "local", type="local", price_per_hour=0.1)
    books.served("blue", NOW - timedelta(days=9))  # 2.4 a day: 21.6 until now
    books.budget("answers", 24, alert_at=[80, 90, 100], forecast_at=[300, 301], notify=["team"])
    assert commands.judge(books.contexts) == 3
    assert commands.judge(books.contexts) == 0, "each once"
    said = [(each.data["basis"], each.data["threshold"]) for each in books.facts()]
    assert said == [("actual", 80), ("actual", 90), ("forecast", 300)], "what is reached exactly is reached"
    fact = books.facts()[0]
    assert (fact.workspace, fact.subject) == ("dev", "budget:answers")
    assert (fact.data["spent"], fact.data["amount"], fact.data["currency"]) == ("21.60", "24", "EUR")
    assert fact.data["forecast"] == "72.00", "21.6 and 21 days at 2.4"
    with books.contexts.write(books.house.actor("service:automation"), "dev") as ctx:
        loop.react(ctx, fact)
    with books.contexts.read(books.house.actor("service:setup")) as ctx:
        asked = {each.payload["target"] for each in outbox.pending(ctx) if each.name == "automation.tell"}
    assert asked == {"chat", "team"}

    books.at = NOW + timedelta(days=1)
    assert commands.judge(books.contexts) == 1 and books.facts()[-1].data["threshold"] == 100
    books.budget("answers", 30, alert_at=[80])
    assert commands.judge(books.contexts) == 1, "a budget that was changed is told of anew"
    assert [each.threshold for each in books.look("answers").crossed] == [80]
    books.at = datetime(2026, 4, 1, 1, tzinfo=UTC)
    assert commands.judge(books.contexts) == 0, "the next month begins with nothing spent"
    books.at = datetime(2026, 4, 12, tzinfo=UTC)
    assert commands.judge(books.contexts) == 1
    assert [each.at for each in books.look("answers").crossed] == [books.at]


def test_arithmetic_is_exact_and_periods_are_calendar_ones() -> None:
    usage = model.Usage("job", "dev", "j", "", "", NOW, NOW + timedelta(hours=1))
    computes = {"local": {"price_per_hour": 0.1}}
    budget = rules.budget("b", {"workspace": "dev", "amount": 0.3, "alert_at": [100]})
    found = rules.standing(budget, [usage] * 3, computes, NOW + timedelta(hours=2))
    assert found.spent == Decimal("0.3"), "three times a tenth, where binary fractions say 0.30000000000000004"
    assert rules.crossed(found) == [(model.Basis.ACTUAL, 100)]
    assert found.forecast is None, "two hours say nothing of a month"
    nearly = replace(usage, end=NOW + timedelta(hours=1) - timedelta(microseconds=1))
    assert rules.crossed(rules.standing(budget, [usage, usage, nearly], computes, NOW + timedelta(hours=2))) == []
    assert (rules.shown(Decimal("0.125")), rules.shown(Decimal("0.1249"))) == ("0.13", "0.12")
    at = datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert rules.period("month", at) == (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert rules.period("quarter", at) == (datetime(2026, 10, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert rules.period("year", at) == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ("{name: b, amount: 10, endpoint: bikes}", "names the 'workspace'"),
        ("{name: b, amount: 10, currency: euro}", "currency"),
        ("{name: b, amount: 0}", "amount"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused_with_its_line(tmp_path: Path, budget: str, words: str) -> None:
    with pytest.raises(errors.InvalidInput, match=words) as found:
        documents.parse(f"$schema: doubleloop/setup\nbudgets:\n  - {budget}\n", "setup.yml", tmp_path)
    assert found.value.where is not None and found.value.where.line == 3
