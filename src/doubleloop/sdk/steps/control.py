"""Steps that decide which others run, and how often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from doubleloop.base import errors
from doubleloop.sdk.entities.model import Pointer, Sheet
from doubleloop.sdk.steps import model
from doubleloop.sdk.steps.model import Parameter, Step, StepOutput

Steps = Step | Sequence[Step]


def _binding(sheet: Sheet, step: Step) -> str:
    name = step._name_in(sheet.graph)
    if name is None:
        raise errors.InvalidInput(
            "A step that is not part of this pipeline was given to a condition or loop",
            where=model.where(step._made_at()), cure="Call it inside the function of the pipeline.",
        )  # fmt: skip
    return f"${{{{parent.jobs.{name}}}}}"


@dataclass(kw_only=True, eq=False, repr=False)
class Control(Step):
    """What conditions and loops have in common."""

    _ONLY_JOB: ClassVar[frozenset[str]] = Step._ONLY_JOB | {"compute", "inputs"}
    type: str

    def _default_name(self) -> str:
        return self.type


@dataclass(kw_only=True, eq=False, repr=False)
class IfElse(Control):
    condition: StepOutput | Parameter | bool | str
    true_block: Steps | None = None
    false_block: Steps | None = None
    type: str = "if_else"

    def _put(self, sheet: Sheet, data: dict[str, Any], at: Pointer, name: str, value: Any) -> None:
        if name in ("true_block", "false_block"):
            several = [value] if isinstance(value, Step) else list(value)
            sheet.say((*at, name), self._line_of(name))
            data[name] = [_binding(sheet, each) for each in several]
        else:
            super()._put(sheet, data, at, name, value)


@dataclass(kw_only=True, eq=False, repr=False)
class DoWhile(Control):
    body: Step
    condition: StepOutput | None = None
    mapping: Mapping[Any, Any]
    limits: Mapping[str, int]
    type: str = "do_while"

    def _put(self, sheet: Sheet, data: dict[str, Any], at: Pointer, name: str, value: Any) -> None:
        if name == "body":
            data[name] = _binding(sheet, value)
        elif name == "condition":
            data[name] = value._refer(sheet)
        elif name == "mapping":
            data[name] = {_key(output): _names(inputs) for output, inputs in value.items()}
        else:
            super()._put(sheet, data, at, name, value)
            return
        sheet.say((*at, name), self._line_of(name))


def _key(output: Any) -> str:
    return str(output.__dict__["_key"]) if isinstance(output, StepOutput) else str(output)


def _names(inputs: Any) -> list[str]:
    return [inputs] if isinstance(inputs, str) else [str(each) for each in inputs]


@dataclass(kw_only=True, eq=False, repr=False)
class ParallelFor(Control):
    body: Step
    items: Any
    max_concurrency: int | None = None
    type: str = "parallel_for"

    def _put(self, sheet: Sheet, data: dict[str, Any], at: Pointer, name: str, value: Any) -> None:
        if name == "body":
            sheet.say((*at, name), self._line_of(name))
            data[name] = _binding(sheet, value)
        else:
            super()._put(sheet, data, at, name, value)


def condition(
    *, condition: StepOutput | Parameter | bool, true_block: Steps | None = None, false_block: Steps | None = None
) -> IfElse:
    """Steps that run when ``condition`` is true, or when it is false. An output is a condition when it is declared
    ``Output(type="boolean", is_control=True)``."""
    return model.join(IfElse(condition=condition, true_block=true_block, false_block=false_block))


def do_while(
    *, body: Step, mapping: Mapping[Any, Any], max_iteration_count: int, condition: StepOutput | None = None
) -> DoWhile:
    """Repeat ``body`` while its output ``condition`` is true, ``max_iteration_count`` times at most. ``mapping``: an
    output of a round → the name (or names) of the inputs that it becomes in the next."""
    limits = {"max_iteration_count": max_iteration_count}
    return model.join(DoWhile(body=body, condition=condition, mapping=mapping, limits=limits))


def parallel_for(*, body: Step, items: Any, max_concurrency: int | None = None) -> ParallelFor:
    """Run ``body`` once for each of ``items``: a list of inputs by name, or a mapping of labels to them."""
    return model.join(ParallelFor(body=body, items=items, max_concurrency=max_concurrency))
