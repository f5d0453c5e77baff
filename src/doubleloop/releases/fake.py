"""Measurements and monitors in memory: for tests of releases, and of what stands above them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from doubleloop.db.context import Contexts, Ctx
from doubleloop.releases import model
from doubleloop.specs import documents

# What a good model's checks measure, by type.
GOOD: dict[str, dict[str, Any]] = {
    "data_quality": {"rows": 100, "columns": 3, "violations": []},
    "unit_tests": {"exit_code": 0, "report": {"tests": 3, "failures": 0, "errors": 0, "skipped": 0, "failing": []}},
    "model_quality": {
        "holdout": {"id": "data:registry/holdout:1", "digest": "h", "rows": 100},
        "candidate": {"model": "bikes:2", "value": 1.0, "training_data": [{"id": "data:registry/t:1", "digest": "t"}]},
        "champion": None,
    },
    "responsible_ai": {
        "sensitive": {
            "group": {"value": 1.0, "note": "", "groups": [{"group": g, "size": 50, "judged": True} for g in "ab"]}
        }
    },
    "counterfactual": {"rows": 100, "changed": 0, "examples": []},
    "robustness": {
        "slices": [{"slice": name, "rows": 100, "value": value} for name, value in (("all", 0.9), ("noise 3", 0.8))]
    },
    "endpoint_performance": {
        "rate": 10.0, "duration_s": 1.0, "planned": 10, "errors": 0, "error_kinds": {}, "sent_on_time": 1.0,
        "latency_ms": {"p50": 1.0, "p95": 2.0, "p99": 3.0},
    },
    "scan": {
        "model": {"files": 3, "findings": []},
        "packages": {"checked": False, "reason": "no advisory database", "count": 9, "findings": []},
    },
}  # fmt: skip

Answer = dict[str, Any] | Callable[[model.Question], dict[str, Any]] | Exception


class FakeMeasuring:
    """Answers each check type with ``GOOD``, or with what ``answers`` holds for it: measurements, a function of the
    question, or an error to raise. ``asked`` lists every question."""

    def __init__(self, **answers: Answer) -> None:
        self.answers: dict[str, Answer] = answers
        self.asked: list[model.Question] = []
        self.signature: dict[str, Any] | Exception = {"inputs": [{"name": "x", "type": "double"}], "outputs": None}

    def measure(self, contexts: Contexts, question: model.Question) -> model.Measured:
        self.asked.append(question)
        answer = self.answers.get(question.check["type"], GOOD[question.check["type"]])
        if isinstance(answer, Exception):
            raise answer
        return model.Measured(dict(answer(question) if callable(answer) else answer))

    def infer_signature(
        self, contexts: Contexts, workspace: str, data: str, target: str, features: list[str] | None
    ) -> dict[str, Any]:
        if isinstance(self.signature, Exception):
            raise self.signature
        return self.signature


class FakeMonitors:
    """Keeps the names of the monitors that were put in place, as ``workspace/name``."""

    def __init__(self) -> None:
        self.put_in_place: list[str] = []

    def put(self, ctx: Ctx, document: documents.Document) -> None:
        self.put_in_place.append(f"{ctx.workspace}/{document.model.name}")
