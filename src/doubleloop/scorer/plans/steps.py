"""What a plan is made of."""

from __future__ import annotations

from typing import Any, List, Sequence


class NotPlanned(Exception):
    """There is no plan for this model; the text says what of it has none."""


class OutOfPlan(Exception):
    """These rows are not the plan's: the model itself must score them."""


class Inputs:
    """The columns of a signature, as the gateway sends them: lists of plain values, in the signature's order."""

    def __init__(self, specs: Sequence[Any]) -> None:
        self.names = [spec.get("name", position) for position, spec in enumerate(specs)]
        self.types = [spec["type"] for spec in specs]

    def __len__(self) -> int:
        return len(self.names)


class Step:
    """``run`` takes what the step before gave: a float64 matrix (rows x columns), or a list of columns of values."""

    def run(self, data: Any) -> Any:
        raise NotImplementedError

    def fill(self, data: Any, out: Any) -> None:
        """The same into a part of a matrix that is zero yet."""
        out[...] = self.run(data)


class Chain(Step):
    def __init__(self, steps: List[Step]) -> None:
        self.steps = steps

    def fill(self, data: Any, out: Any) -> None:
        for step in self.steps[:-1]:
            data = step.run(data)
        self.steps[-1].fill(data, out)

    def run(self, data: Any) -> Any:
        for step in self.steps:
            data = step.run(data)
        return data
