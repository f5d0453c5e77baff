"""Components: steps to share, read from a file or a server, or made of a command; called, they are steps."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from doubleloop.sdk import calls
from doubleloop.sdk.entities.assets import Data, Environment, Model
from doubleloop.sdk.entities.model import Entity, Lines, Pointer, Sheet
from doubleloop.sdk.entities.settings import (
    CommandJobLimits,
    JobResourceConfiguration,
    PipelineJobSettings,
    SweepJobLimits,
)
from doubleloop.sdk.entities.values import Input, Output
from doubleloop.sdk.steps import model, searching
from doubleloop.sdk.steps.model import Inputs, Parameter, Step, StepOutput

if TYPE_CHECKING:
    from doubleloop.sdk.steps.commands import Distribution

# What a person may set of a component that was read.
_FIELDS = ("name", "version", "display_name", "description", "tags", "is_deterministic")


class Component(Entity):
    """A step to share: ``load_component("train.yml")``, ``client.components.get("train")``, ``command(...).component``.
    Call it inside a pipeline's function with its inputs."""

    name: str | None
    version: str | None
    display_name: str | None
    description: str | None
    tags: dict[str, str]
    is_deterministic: bool | None

    def __init__(self, spec: Mapping[str, Any], lines: Lines, *, address: str | None = None, title: str = "") -> None:
        """``spec``: its fields as a file names them; ``address``: how pipelines name it, when a server keeps it."""
        self.__dict__.update(
            _spec=dict(spec), _lines=lines, _address=address, _called=title,
            **{name: spec.get(name) for name in _FIELDS},
        )  # fmt: skip
        self.__dict__["tags"] = dict(spec.get("tags") or {})

    @classmethod
    def made(cls, spec: Mapping[str, Any], lines: Lines, title: str) -> Component:
        return cls(spec, lines, title=title)

    @property
    def _kind(self) -> str:  # type: ignore[override]
        return f"{self.type}_component"

    @property
    def type(self) -> str:
        """``command``, ``pipeline``, ``parallel`` or ``spark``."""
        spec = self.__dict__["_spec"]
        return str(spec.get("type") or ("pipeline" if "jobs" in spec else "command")).lower()

    @property
    def spec(self) -> dict[str, Any]:
        """Its fields as a file names them."""
        spec: dict[str, Any] = {**self.__dict__["_spec"]}
        for name in _FIELDS:
            value = getattr(self, name)
            if value not in (None, {}):
                spec[name] = value
        return spec

    @property
    def id(self) -> str | None:
        """How pipelines name it, when a server keeps it: ``azureml:NAME:VERSION``."""
        return self._refer()

    @property
    def inputs(self) -> dict[str, Input]:
        """What it wants to be given."""
        given = self.__dict__["_spec"].get("inputs") or {}
        return {key: Input._read(each, {}) for key, each in given.items()}

    @property
    def outputs(self) -> dict[str, Output]:
        """What it writes."""
        given = self.__dict__["_spec"].get("outputs") or {}
        return {key: Output._read(each or {}, {}) for key, each in given.items()}

    @property
    def body(self) -> dict[str, Any]:
        """What the server says of it; empty for one that is not kept by a server."""
        found: dict[str, Any] = self.__dict__.get("_body", {})
        return found

    def __call__(self, **inputs: Any) -> ComponentStep:
        """A step that runs it with these inputs. Raises InvalidInput for a name that is none of its inputs."""
        known = list(self.inputs)
        for key in inputs:
            if key not in known:
                raise model.unknown(f"The component {self._title()} has no input", key, known)
        made = ComponentStep(
            type=self.type, component=self, inputs=Inputs({k: v for k, v in inputs.items() if v is not None})
        )
        for key, output in self.outputs.items():
            made.outputs.declare(key, output)
        made.__dict__.update(_declares={}, _called_at=calls.here())
        model.join(made)
        return made

    def _title(self) -> str:
        return str(self.name or self.__dict__["_called"] or self.type)

    def _refer(self, sheet: Sheet | None = None) -> str | None:
        found: str | None = self.__dict__["_address"]
        return found

    def _write(self, sheet: Sheet, at: Pointer) -> Any:
        for pointer, line in self.__dict__["_lines"].items():
            sheet.say((*at, *pointer), line)
        for name in _FIELDS:
            sheet.say((*at, name), self._line_of(name))
        return sheet.value(self.spec, at)

    def _fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _FIELDS if getattr(self, name) is not None}


@dataclass(kw_only=True, eq=False, repr=False)
class ComponentStep(Step):
    """A component with the inputs that it is given. By itself it runs as a pipeline of one step."""

    _kind: ClassVar[str] = "pipeline_job"
    _inner: ClassVar[Mapping[str, type[Entity]]] = {"environment": Environment}

    type: str = "command"
    component: Component
    environment: str | Environment | None = None
    environment_variables: dict[str, str] = field(default_factory=dict)
    distribution: Distribution | None = None
    resources: JobResourceConfiguration | None = None
    limits: CommandJobLimits | None = None
    identity: Any = None
    settings: PipelineJobSettings | None = None

    def set_resources(self, **wanted: Any) -> None:
        """``instance_count``, ``instance_type``, …"""
        self.resources = JobResourceConfiguration(**wanted)

    def set_limits(self, *, timeout: int | None = None) -> None:
        """``timeout`` in seconds."""
        self.limits = CommandJobLimits(timeout=timeout)

    def sweep(
        self, *, primary_metric: str, goal: str, sampling_algorithm: str | searching.SamplingAlgorithm = "random",
        compute: str | None = None, max_concurrent_trials: int | None = None, max_total_trials: int | None = None,
        timeout: int | None = None, trial_timeout: int | None = None,
        early_termination_policy: searching.Policy | None = None,
        search_space: Mapping[str, searching.Distribution] | None = None, identity: Any = None,
        queue_settings: Any = None,
    ) -> searching.Sweep:  # fmt: skip
        """As ``Command.sweep``."""
        return searching.sweep(
            self, primary_metric, goal, sampling_algorithm, compute or self.compute, search_space, identity,
            queue_settings, early_termination_policy,
            SweepJobLimits(
                max_total_trials=max_total_trials, max_concurrent_trials=max_concurrent_trials, timeout=timeout,
                trial_timeout=trial_timeout,
            ),
        )  # fmt: skip

    def _default_name(self) -> str:
        return self.component._title()

    def _title(self) -> str:
        return self.component._title()

    def _known_inputs(self) -> list[str] | None:
        return list(self.component.inputs)

    def _write_inputs(self, sheet: Sheet, at: Pointer, declared: model.Declared) -> dict[str, Any]:
        """Values and bindings as they are: the component says what they are. Text for data becomes a path."""
        written, known = {}, self.component.inputs
        for key, value in self.inputs.items():
            sheet.say((*at, key), self.inputs.lines.get(key))
            each = known.get(key)
            kind = Input(type=each.type) if each is not None else None
            written[key] = model.given_value(sheet, (*at, key), value, kind, bare=True)
        return written

    def _write(self, sheet: Sheet, at: Pointer) -> Any:
        """As a pipeline of one step."""
        name, outer = variable_name(self.name or self._default_name()), sheet.graph
        sheet.graph = model.Graph({name: self})
        own = {each: getattr(self, each) for each in ("name", "display_name", "experiment_name") if getattr(self, each)}
        data = {"type": "pipeline", **own, "jobs": {name: self._write_step(sheet, (*at, "jobs", name))}}
        sheet.graph = outer
        return data

    def _write_step(self, sheet: Sheet, at: Pointer) -> dict[str, Any]:
        searching.refuse_spaces(self)
        return super()._write_step(sheet, at)

    def _write_component(self, sheet: Sheet, at: Pointer = ()) -> Any:
        """What a sweep step tries."""
        return sheet.value(self.component, at)

    def _write_trial(self, sheet: Sheet, at: Pointer) -> dict[str, Any]:
        """What a sweep job says of its trials: the component's command."""
        written = self.component._write(sheet, at)
        kept = ("command", "code", "environment", "environment_variables", "distribution", "resources", "limits")
        return {name: copy.deepcopy(written[name]) for name in kept if name in written}


def variable_name(text: str) -> str:
    """A name for a step, of a component's name."""
    return "".join(each if each.isalnum() or each == "_" else "_" for each in text) or "step"


def declared_inputs(sheet: Sheet, data: dict[str, Any], at: Pointer, step: Step) -> None:
    """Write the inputs of a step as what its component wants to be given."""
    declares = step.__dict__["_declares"]
    written = {}
    for key, value in step.inputs.items():
        sheet.say((*at, "inputs", key), step.inputs.lines.get(key))
        written[key] = _declaration(sheet, declares.get(key), value)
    if written:
        data["inputs"] = written


def _declaration(sheet: Sheet, declared: Input | None, value: Any) -> dict[str, Any]:
    if declared is not None:
        names = ("type", "description", "default", "optional", "min", "max", "enum", "mode")
        said = {name: sheet.value(getattr(declared, name), ()) for name in names if getattr(declared, name) is not None}
        if "type" in said:
            return said
        return {**said, "type": value_type(value)}
    return {"type": value_type(value)}


def value_type(value: Any) -> str:
    """The type of an input, of what was given to it."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, (Input, Data, Model)):
        return str(value.type or "uri_folder")
    if isinstance(value, Parameter):
        return str(value.__dict__["_declared"].type or "string")
    if isinstance(value, StepOutput):
        return value._value_type() or "uri_folder"
    if isinstance(value, searching.DISTRIBUTIONS):
        return value_type(value.example())
    return "string"


def declared_outputs(sheet: Sheet, data: dict[str, Any], at: Pointer, step: Step) -> None:
    """Write the outputs of a step as what its component writes."""
    names = ("type", "mode", "description", "is_control", "early_available")
    written = {
        key: {name: getattr(each, name) for name in names if getattr(each, name) is not None}
        for key, each in step.outputs.items()
    }
    if written:
        data["outputs"] = written
