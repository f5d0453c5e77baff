"""What a release needs that takes processes, environments and networks, so that its order of events can be tested
without them. When nothing is plugged in, ``measuring.RealMeasuring`` and ``monitors.RoomMonitors`` do it."""

from __future__ import annotations

from typing import Any, Protocol

from doubleloop.db.context import Contexts, Ctx
from doubleloop.releases import model
from doubleloop.specs import documents


class Measuring(Protocol):
    def measure(self, contexts: Contexts, question: model.Question) -> model.Measured:
        """Measure what the question's check asks for; never inside a transaction. What was wrong with the model is
        part of the answer. Raises a DoubleloopError when it could not be measured at all (Unavailable: try again)."""

    def infer_signature(
        self, contexts: Contexts, workspace: str, data: str, target: str, features: list[str] | None
    ) -> dict[str, Any]:
        """A model's input signature, in MLflow's form, from the columns of a hold-out."""


class Monitors(Protocol):
    def put(self, ctx: Ctx, document: documents.Document) -> None:
        """Put a monitor in place, or change the one of that name."""
