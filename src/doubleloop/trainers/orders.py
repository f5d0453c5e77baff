"""What a step of an AutoML job is to do: the job's settings, and those of the trial."""

from __future__ import annotations

import json
from typing import Any


class BadData(Exception):
    """The table does not have what the job's file says; the text says what, and how to mend it."""


class Orders:
    """``task``, ``target``, ``metric`` and ``goal`` (maximize, minimize); ``algorithm`` and ``params`` of a trial.

    ``validation_size``, ``test_size`` (shares), ``folds`` (a number, "auto" or None) and ``fold_columns`` say how rows
    are divided, ``weights`` names the column of weights, ``featurization`` and ``forecasting`` are the sections of the
    file with their defaults; ``stack`` the settings of the stack; ``packages`` what the model needs (pip syntax) with
    ``python``; ``threads`` per trial; ``seed`` makes everything repeatable.
    """

    def __init__(self, body: dict[str, Any]) -> None:
        self.task: str = body["task"]
        self.target: str = body["target"]
        self.metric: str = body["metric"]
        self.goal: str = body["goal"]
        self.algorithm: str = body.get("algorithm") or ""
        self.params: dict[str, Any] = body.get("params") or {}
        self.validation_size: float | None = body.get("validation_size")
        self.test_size: float | None = body.get("test_size")
        self.folds: Any = body.get("folds")
        self.fold_columns: list[str] = body.get("fold_columns") or []
        self.weights: str = body.get("weights") or ""
        self.positive_label: str | None = body.get("positive_label")
        self.featurization: dict[str, Any] = body.get("featurization") or {}
        self.forecasting: dict[str, Any] = body.get("forecasting") or {}
        self.stack: dict[str, Any] = body.get("stack") or {}
        self.explain: bool = bool(body.get("explain"))
        self.packages: list[str] = body.get("packages") or []
        self.python: str = body.get("python") or "3.11"
        self.threads: int = int(body.get("threads") or 1)
        self.seed: int = int(body.get("seed") or 0) % 2**31
        self.level: str = body.get("level") or "INFO"

    @property
    def sign(self) -> float:
        """Times a value of the metric: greater is better."""
        return 1.0 if self.goal == "maximize" else -1.0


def read(text: str) -> Orders:
    return Orders(json.loads(text))
