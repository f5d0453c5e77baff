"""What all steps have in common: inputs, outputs, and the pipeline that is being composed around them.

A step is written in one of two ways: as a job of its own, or as a step of the pipeline that it was called in.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeVar

from doubleloop.base import errors
from doubleloop.sdk import calls
from doubleloop.sdk.entities.assets import Data, Model
from doubleloop.sdk.entities.model import Entity, Pointer, Sheet
from doubleloop.sdk.entities.values import PRIMITIVES, Input, Output

Declared = Mapping[str, Input]
S = TypeVar("S", bound="Step")


class UnknownName(errors.InvalidInput, AttributeError):
    """There is no input or output of that name."""


def where(line: calls.Line | None, path: str = "") -> errors.Where | None:
    return errors.Where(calls.shown(line[0]), line[1], path) if line else None


def unknown(what: str, name: str, known: list[str], line: calls.Line | None = None) -> UnknownName:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    cure = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known) or 'none'}"
    return UnknownName(f"{what} '{name}'", where=where(line or calls.here(), name), cure=cure)


class Parameter(Entity):
    """A parameter of the function that a pipeline is composed by: what is given to it when the pipeline runs.

    As text it is its binding, ``${{parent.inputs.NAME}}``.
    """

    def __init__(self, name: str, declared: Input) -> None:
        self.__dict__.update(_name=name, _declared=declared)

    def _refer(self, sheet: Sheet | None = None) -> str:
        return f"${{{{parent.inputs.{self.__dict__['_name']}}}}}"

    __str__ = _refer

    def __repr__(self) -> str:
        return self._refer()

    def __bool__(self) -> bool:
        raise errors.InvalidInput(
            f"The value of '{self.__dict__['_name']}' is not known while the pipeline is composed",
            where=where(calls.here()),
            cure="Use dsl.condition, or name the parameter in non_pipeline_inputs=[...].",
        )


class StepOutput(Output):
    """An output of a step: give it to an input of another, return it from the pipeline, or say where it goes
    (``step.outputs.model.name = "bikes"``)."""

    def __init__(self, step: Step, key: str, said: Output | None, declared: Output | None = None) -> None:
        super().__init__(**said._fields() if said else {})
        lines = said.__dict__.get("_said", {}) if said else {}
        self.__dict__.update(_step=step, _key=key, _declared=declared, _said={**self.__dict__["_said"], **lines})

    @property
    def _owner(self) -> Step:
        step: Step = self.__dict__["_step"]
        return step

    def _says(self) -> Output:
        return Output(**self._fields())

    def _value_type(self) -> str | None:
        declared: Output | None = self.__dict__["_declared"]
        return self.type or (declared.type if declared else None)

    def _declaration(self) -> dict[str, Any]:
        """What a pipeline that gives it says of it."""
        declared: Output | None = self.__dict__["_declared"]
        said = {"type": self._value_type(), "mode": self.mode or (declared.mode if declared else None)}
        return {key: each for key, each in said.items() if each is not None}

    def _refer(self, sheet: Sheet | None = None) -> str:
        name = self._owner._name_in(sheet.graph if sheet else None)
        if name is None:
            raise errors.InvalidInput(
                f"The output '{self.__dict__['_key']}' is of a step that is not part of this pipeline",
                where=where(self._owner._made_at()),
                cure="Call the step inside the function of the pipeline, and give its output to steps beside it.",
            )
        return f"${{{{parent.jobs.{name}.outputs.{self.__dict__['_key']}}}}}"

    def __str__(self) -> str:
        return self._refer()


class Inputs(dict[str, Any]):
    """Inputs by name; ``inputs.rate`` is ``inputs["rate"]``."""

    lines: dict[str, calls.Line]

    def __init__(self, given: Mapping[str, Any] | None = None) -> None:
        super().__init__(given or {})
        object.__setattr__(self, "lines", dict.fromkeys(self, calls.here()))

    def __setitem__(self, key: str, value: Any) -> None:
        self.lines[key] = calls.here()
        super().__setitem__(key, value)

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        try:
            return self[key]
        except KeyError:
            raise unknown("There is no input", key, list(self)) from None

    def __setattr__(self, key: str, value: Any) -> None:
        self[key] = value

    def copy(self) -> Inputs:
        made = Inputs(self)
        made.lines.update(self.lines)
        return made


class Outputs(dict[str, StepOutput]):
    """Outputs by name; ``outputs.model`` is ``outputs["model"]``. An ``Output`` may be set in place of one."""

    def __init__(self, step: Step, given: Mapping[str, Any] | None = None, *, is_open: bool = False) -> None:
        """``is_open``: it is not known which there are, as of a component that only its name is known of."""
        super().__init__()
        self.__dict__.update(_step=step, _is_open=is_open)
        for key, value in (given or {}).items():
            self[key] = value

    def __setitem__(self, key: str, value: Any) -> None:
        if isinstance(value, Mapping):
            value = Output(**value)
        if isinstance(value, str):
            value = Output(path=value) if "/" in value or ":" in value else Output(type=value)
        if not isinstance(value, Output):
            raise errors.InvalidInput(
                f"The output '{key}' is {value!r}, and an Output is wanted", where=where(calls.here(), key),
                cure='Write Output(type="uri_folder").',
            )  # fmt: skip
        before = self.get(key)
        declared = before.__dict__["_declared"] if before is not None else None
        said = value._says() if isinstance(value, StepOutput) else value
        super().__setitem__(key, StepOutput(self.__dict__["_step"], key, said, declared))

    def __missing__(self, key: str) -> StepOutput:
        if not self.__dict__["_is_open"]:
            raise KeyError(key)
        self[key] = Output()
        return self[key]

    def __getattr__(self, key: str) -> StepOutput:
        if key.startswith("__"):
            raise AttributeError(key)
        try:
            return self[key]
        except KeyError:
            raise unknown("There is no output", key, list(self)) from None

    def __setattr__(self, key: str, value: Any) -> None:
        if key not in self and not self.__dict__["_is_open"]:
            raise unknown("There is no output", key, list(self))
        self[key] = value

    def declare(self, key: str, declared: Output) -> None:
        """What the step's component says of an output."""
        super().__setitem__(key, StepOutput(self.__dict__["_step"], key, None, declared))

    def of(self, step: Step) -> Outputs:
        """The same outputs, of another step."""
        made = Outputs(step, is_open=self.__dict__["_is_open"])
        for key, value in self.items():
            super(Outputs, made).__setitem__(
                key, StepOutput(step, key, value._says(), value.__dict__["_declared"])
            )  # fmt: skip
        return made


@dataclass
class Graph:
    """The steps of one pipeline by name, and what the pipeline gives: name → output of a step."""

    steps: dict[str, Step] = field(default_factory=dict)
    outputs: dict[str, StepOutput] = field(default_factory=dict)

    def name_of(self, step: Step) -> str | None:
        return next((name for name, each in self.steps.items() if each is step), None)

    def given_as(self, output: StepOutput) -> str | None:
        """The name under which the pipeline gives the output."""
        return next(
            (
                name for name, each in self.outputs.items()
                if each._owner is output._owner and each.__dict__["_key"] == output.__dict__["_key"]
            ), None,
        )  # fmt: skip


_composed: ContextVar[list[Step] | None] = ContextVar("doubleloop_composed_steps", default=None)


@contextmanager
def composing() -> Iterator[list[Step]]:
    """Steps that are called inside become part of the list."""
    steps: list[Step] = []
    token = _composed.set(steps)
    try:
        yield steps
    finally:
        _composed.reset(token)


def is_composing() -> bool:
    return _composed.get() is not None


def join(step: S) -> S:
    """Make a step part of the pipeline that is being composed, if one is."""
    steps = _composed.get()
    if steps is not None and not any(each is step for each in steps):
        steps.append(step)
    return step


def leave(step: Step) -> None:
    """Take a step out again, which has become part of another."""
    steps = _composed.get()
    if steps is not None and any(each is step for each in steps):
        steps[:] = [each for each in steps if each is not step]


@dataclass(kw_only=True, eq=False, repr=False)
class Step(Entity):
    """``name`` is the job's name when it runs by itself, and the step's name in a pipeline."""

    _ONLY_JOB: ClassVar[frozenset[str]] = frozenset({"name", "experiment_name", "parent_job_name"})
    """Fields that a step of a pipeline does not have: they are the pipeline's."""

    name: str | None = None
    display_name: str | None = None
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    experiment_name: str | None = None
    compute: str | Parameter | None = None
    inputs: Inputs = field(default_factory=Inputs)
    outputs: Outputs = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.outputs is None:
            self.outputs = Outputs(self)
        self.__dict__["_declares"] = {
            key: value for key, value in self.inputs.items() if isinstance(value, Input)
        }  # fmt: skip

    def _was_read(self) -> None:
        self.__dict__["inputs"] = read_inputs(self.__dict__.get("inputs"), self.__dict__.get("_loaded", {}))
        self.__dict__["outputs"] = Outputs(self, self.__dict__.get("outputs"))
        self.__dict__["_declares"] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "inputs" and not isinstance(value, Inputs):
            value = Inputs(value)
        if name == "outputs" and not isinstance(value, Outputs) and value is not None:
            value = Outputs(self, value)
        super().__setattr__(name, value)

    # -- being used ---------------------------------------------------------------------------------------------------

    def _known_inputs(self) -> list[str] | None:
        """The names that may be given; None when it is not known."""
        return list(self.inputs)

    def _called(self, given: Mapping[str, Any]) -> Self:
        """A copy with other inputs, as a step of the pipeline that is being composed."""
        known = self._known_inputs()
        for key in given:
            if known is not None and key not in known:
                raise unknown(f"{self._title()} has no input", key, known)
        leave(self)  # made in the pipeline's own function, to be called
        made = copy.copy(self)
        made.__dict__["_said"] = dict(self.__dict__.get("_said", {}))
        made.__dict__["_called_at"] = calls.here()
        made.tags, made.properties = dict(self.tags), dict(self.properties)
        inputs = self.inputs.copy()
        for key, value in given.items():
            if value is not None:
                inputs[key] = value
        made.inputs = inputs
        made.outputs = self.outputs.of(made)
        join(made)
        return made

    def _title(self) -> str:
        return self.name or type(self).__name__.lower()

    def _made_at(self) -> calls.Line | None:
        found: calls.Line | None = self.__dict__.get("_called_at")
        return found

    def _name_in(self, graph: Any) -> str | None:
        found: str | None = graph.name_of(self) if isinstance(graph, Graph) else None
        return found

    def _default_name(self) -> str:
        """What the step is called when its variable has no name."""
        return str(self.__dict__["type"]) if "type" in self.__dict__ else type(self).__name__.lower()

    # -- being written ------------------------------------------------------------------------------------------------

    def _put(self, sheet: Sheet, data: dict[str, Any], at: Pointer, name: str, value: Any) -> None:
        if name == "inputs":
            written = self._write_inputs(sheet, (*at, name), self.__dict__["_declares"])
            if written:
                sheet.say((*at, name), self._line_of(name))
                data[name] = written
        elif name == "outputs":
            written = self._write_outputs(sheet, (*at, name))
            if written:
                sheet.say((*at, name), self._line_of(name))
                data[name] = written
        else:
            super()._put(sheet, data, at, name, value)

    def _write_step(self, sheet: Sheet, at: Pointer) -> dict[str, Any]:
        """As a step of ``sheet.graph``."""
        data: dict[str, Any] = {}
        sheet.say(at, self._made_at())
        for name, value in self._fields().items():
            if name not in self._ONLY_JOB:
                self._put(sheet, data, at, name, value)
        return data

    def _write_inputs(self, sheet: Sheet, at: Pointer, declared: Declared) -> dict[str, Any]:
        written = {}
        for key, value in self.inputs.items():
            sheet.say((*at, key), self.inputs.lines.get(key))
            written[key] = given_value(sheet, (*at, key), value, declared.get(key))
        return written

    def _write_outputs(self, sheet: Sheet, at: Pointer) -> dict[str, Any]:
        """Those of which something is said."""
        written = {}
        for key, output in self.outputs.items():
            data = Output._write(output, sheet, (*at, key))
            given = sheet.graph.given_as(output) if isinstance(sheet.graph, Graph) else None
            if given is not None:
                binding = f"${{{{parent.outputs.{given}}}}}"
                written[key] = {**data, "path": binding} if set(data) - {"type", "mode"} else binding
            elif data or output.__dict__["_declared"] is None:
                written[key] = data
        return written


def read_inputs(data: Any, loaded: Mapping[str, Any]) -> Inputs:
    """The inputs that a file gives, each with its line."""
    lines = {pointer[0]: line for pointer, line in loaded.get("inputs", {}).items() if len(pointer) == 1}
    made = Inputs(
        {key: Input._read(each, {}) if isinstance(each, dict) else each for key, each in (data or {}).items()}
    )
    made.lines.update(lines)
    return made


def given_value(sheet: Sheet, at: Pointer, value: Any, declared: Input | None, *, bare: bool = False) -> Any:
    """What is written for an input: data keep the type and mode that were declared. ``bare``: a binding is written
    alone, since a component declares the rest."""
    kept = {
        key: each for key, each in (("type", declared.type), ("mode", declared.mode)) if each is not None
    } if declared is not None else {}  # fmt: skip
    is_data = bool(kept) and kept.get("type") not in PRIMITIVES
    if isinstance(value, Step):
        value = _only_output(value, at)
    if isinstance(value, (StepOutput, Parameter)):
        binding = value._refer(sheet)
        return {**kept, "path": binding} if is_data and not bare else binding
    if isinstance(value, (Data, Model)):
        path = value._refer(sheet) or sheet.value(value.path, at)
        return {**({"type": value.type} if value.type else {}), **kept, "path": path}
    if isinstance(value, Input):
        written: dict[str, Any] = {**kept, **sheet.value(value, at)}
        asset = value.path
        if isinstance(asset, (Data, Model)) and "type" not in written and asset.type:
            written["type"] = asset.type
        return written
    plain = sheet.value(value, at)
    return {**kept, "path": plain} if is_data and isinstance(plain, str) else plain


def _only_output(step: Step, at: Pointer) -> StepOutput:
    if len(step.outputs) == 1:
        return next(iter(step.outputs.values()))
    raise errors.InvalidInput(
        f"A step was given to the input '{at[-1]}', and it has {len(step.outputs)} outputs",
        where=where(step._made_at(), ".".join(at)),
        cure=f"Name the output: {', '.join(f'STEP.outputs.{key}' for key in step.outputs) or 'STEP.outputs.NAME'}.",
    )
