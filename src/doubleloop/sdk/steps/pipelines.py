"""Pipelines composed by a function: what it is given are the pipeline's inputs, what it calls are its steps, what it
returns are its outputs."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any, ClassVar, Generic, ParamSpec, cast, get_args, overload

from doubleloop.base import errors
from doubleloop.sdk import calls
from doubleloop.sdk.entities.model import Entity, Pointer, Sheet
from doubleloop.sdk.entities.settings import PipelineJobSettings
from doubleloop.sdk.entities.values import PRIMITIVES, Input, Output
from doubleloop.sdk.steps import model
from doubleloop.sdk.steps.components import Component, value_type, variable_name
from doubleloop.sdk.steps.control import Control
from doubleloop.sdk.steps.model import Graph, Inputs, Parameter, Step, StepOutput

P = ParamSpec("P")
_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


@dataclass(kw_only=True, eq=False, repr=False)
class PipelineJob(Step):
    """Made by calling a function that ``@pipeline`` decorates, or read from a file. ``jobs``: its steps by name."""

    _kind: ClassVar[str] = "pipeline_job"
    _inner: ClassVar[Mapping[str, type[Entity]]] = {"settings": PipelineJobSettings}

    type: str = "pipeline"
    jobs: dict[str, Any]
    settings: PipelineJobSettings
    component: str | Component | Mapping[str, Any] | None = None
    identity: Any = None
    services: Any = None

    def _was_read(self) -> None:
        super()._was_read()
        if self.__dict__.get("jobs") is None:
            self.__dict__["jobs"] = {}
        if not isinstance(self.__dict__.get("settings"), PipelineJobSettings):
            self.__dict__["settings"] = PipelineJobSettings()

    def _fields(self) -> dict[str, Any]:
        fields = super()._fields()
        return fields if fields.get("jobs") else {key: each for key, each in fields.items() if key != "jobs"}

    def _graph(self) -> Graph:
        graph: Graph = self.__dict__.get("_composed") or Graph()
        return graph

    def _default_name(self) -> str:
        return variable_name(str(self.__dict__.get("_function") or "pipeline"))

    def _title(self) -> str:
        return str(self.__dict__.get("_function") or "the pipeline")

    # -- being written ------------------------------------------------------------------------------------------------

    def _put(self, sheet: Sheet, data: dict[str, Any], at: Pointer, name: str, value: Any) -> None:
        if name == "jobs" and "_composed" in self.__dict__:
            data[name] = self._write_jobs(sheet, (*at, name))
        elif name == "settings":
            self._put_settings(sheet, data, at, value)
        else:
            super()._put(sheet, data, at, name, value)

    def _put_settings(self, sheet: Sheet, data: dict[str, Any], at: Pointer, value: PipelineJobSettings) -> None:
        written = {}
        for name, each in value._fields().items():
            if isinstance(each, Step):
                each = self._graph().name_of(each)
            sheet.say((*at, "settings", name), value._line_of(name))
            written[name] = sheet.value(each, (*at, "settings", name))
        if written or value.__dict__.get("_more"):
            data["settings"] = {**written, **value.__dict__.get("_more", {})}

    def _write_jobs(self, sheet: Sheet, at: Pointer) -> dict[str, Any]:
        outer, sheet.graph = sheet.graph, self._graph()
        written = {name: step._write_step(sheet, (*at, name)) for name, step in self._graph().steps.items()}
        sheet.graph = outer
        return written

    def _write_inputs(self, sheet: Sheet, at: Pointer, declared: model.Declared) -> dict[str, Any]:
        """Of a job: what was given; an optional input that was not is declared alone."""
        written = super()._write_inputs(sheet, at, declared)
        for key, each in declared.items():
            if key not in written and each.optional:
                written[key] = {"type": each.type, "optional": True}
        return written

    def _write(self, sheet: Sheet, at: Pointer) -> Any:
        data = super()._write(sheet, at)
        for key, output in self._graph().outputs.items():
            said = data.setdefault("outputs", {}).get(key)
            data["outputs"][key] = {**output._declaration(), **(said or {})}
        return data

    def _write_step(self, sheet: Sheet, at: Pointer) -> dict[str, Any]:
        sheet.say(at, self._made_at())
        data: dict[str, Any] = {"type": "pipeline"}
        if self.__dict__.get("_composed") is not None:
            data["component"] = self._write_component(sheet, (*at, "component"))
        elif self.jobs or self.component:
            for name in ("jobs", "component"):
                if getattr(self, name):
                    self._put(sheet, data, at, name, getattr(self, name))
        for name in ("display_name", "description", "tags", "compute"):
            value = getattr(self, name)
            if value:
                self._put(sheet, data, at, name, value)
        inputs = self._write_bindings(sheet, (*at, "inputs"))
        outputs = self._write_outputs(sheet, (*at, "outputs"))
        return {**data, **({"inputs": inputs} if inputs else {}), **({"outputs": outputs} if outputs else {})}

    def _write_bindings(self, sheet: Sheet, at: Pointer) -> dict[str, Any]:
        """Inputs of a step, of which its component says what they are."""
        declared, written = self.__dict__["_declares"], {}
        for key, value in self.inputs.items():
            sheet.say((*at, key), self.inputs.lines.get(key))
            kind = Input(type=declared[key].type) if key in declared else None
            written[key] = model.given_value(sheet, (*at, key), value, kind, bare=True)
        return written

    def _write_component(self, sheet: Sheet, at: Pointer = ()) -> dict[str, Any]:
        declared: model.Declared = self.__dict__["_declares"]
        names = ("type", "description", "default", "optional", "min", "max", "enum", "mode")
        data: dict[str, Any] = {"type": "pipeline"}
        inputs = {
            key: {name: getattr(each, name) for name in names if getattr(each, name) is not None}
            for key, each in declared.items()
        }
        outputs = {key: each._declaration() for key, each in self._graph().outputs.items()}
        if inputs:
            data["inputs"] = inputs
        if outputs:
            data["outputs"] = outputs
        self._put_settings(sheet, data, at, self.settings)
        return {**data, "jobs": self._write_jobs(sheet, (*at, "jobs"))}


class PipelineFunction(Generic[P]):
    """A function that composes a pipeline. Called, it gives the ``PipelineJob``; inside another pipeline's function,
    a step."""

    def __init__(self, function: Callable[P, Any], said: Mapping[str, Any], plain: Sequence[str]) -> None:
        self._function = function
        self._said = said
        self._plain = frozenset(plain)
        self._made_at = calls.here()
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> PipelineJob:
        given = self._bound(args, kwargs)
        declared = self._declared(given)
        graph = self._compose(declared, given)
        inputs = Inputs({key: value for key, value in given.items() if key in declared and value is not None})
        said = {**self._said["job"], "display_name": self._said["job"]["display_name"] or self.__name__}
        made = PipelineJob(
            jobs=dict(graph.steps), settings=PipelineJobSettings(**self._said["settings"]), inputs=inputs, **said
        )
        made.__dict__.update(
            _composed=graph, _function=self.__name__, _declares=declared, _called_at=calls.here(),
        )  # fmt: skip
        for key, output in graph.outputs.items():
            made.outputs.declare(key, Output(**output._declaration()))
        model.join(made)
        return made

    @property
    def component(self) -> Component:
        """The pipeline as a component to share; parameters without a default need an annotation, as ``x: Input(...)``
        or ``x: float``."""
        with model.composing():  # so that it does not become part of one that is being composed
            made = self._without_values()
        sheet = Sheet()
        said = {key: self._said["job"][key] for key in ("display_name", "description") if self._said["job"][key]}
        written = {"name": self._said["name"] or self.__name__, **said, **made._write_component(sheet)}
        if self._said["version"] is not None:
            written["version"] = str(self._said["version"])
        return Component.made(written, sheet.lines, self.__name__)

    def _without_values(self) -> PipelineJob:
        defaults = {
            key: None if each.default is inspect.Parameter.empty else each.default
            for key, each in self._signature().parameters.items()
        }
        return self(**defaults)  # type: ignore[call-arg, arg-type]

    # -- parameters ---------------------------------------------------------------------------------------------------

    def _signature(self) -> inspect.Signature:
        try:
            return inspect.signature(self._function, eval_str=True)
        except NameError:  # an annotation that is not there when the program runs
            return inspect.signature(self._function)

    def _bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        signature = self._signature()
        known = list(signature.parameters)
        for key in kwargs:
            if key not in known:
                raise model.unknown(f"The pipeline {self.__name__} has no parameter", key, known)
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise errors.InvalidInput(
                f"The pipeline {self.__name__} is called wrongly: {error}", where=model.where(calls.here()),
                cure=f"It is defined in {calls.shown(self._made_at[0])}:{self._made_at[1]}.",
            ) from error  # fmt: skip
        bound.apply_defaults()
        return dict(bound.arguments)

    def _declared(self, given: Mapping[str, Any]) -> dict[str, Input]:
        """What the pipeline wants to be given: of annotations, defaults, and what is given now."""
        found = {}
        for key, each in self._signature().parameters.items():
            if key in self._plain:
                continue
            annotation = each.annotation
            declared = Input(**annotation._fields()) if isinstance(annotation, Input) else Input()
            if declared.type is None:
                declared.type = self._annotated(annotation) or self._type_of(key, each.default, given.get(key))
            has_default = each.default is not inspect.Parameter.empty
            if has_default and each.default is None:
                declared.optional = True
            elif has_default and declared.type in PRIMITIVES:
                declared.default = each.default
            found[key] = declared
        return found

    @staticmethod
    def _annotated(annotation: Any) -> str | None:
        """``float``, or ``float | None``."""
        several = [each for each in get_args(annotation) if each is not type(None)] or [annotation]
        return _TYPES.get(several[0]) if len(several) == 1 and isinstance(several[0], type) else None

    def _type_of(self, key: str, default: Any, value: Any) -> str:
        for each in (value, None if default is inspect.Parameter.empty else default):
            if each is not None:
                return value_type(each)
        raise errors.InvalidInput(
            f"It is not known what the parameter '{key}' of the pipeline {self.__name__} is",
            where=model.where(self._made_at, key),
            cure=f'Annotate it: {key}: Input(type="uri_folder"), or {key}: float.',
        )  # fmt: skip

    # -- composing ----------------------------------------------------------------------------------------------------

    def _compose(self, declared: Mapping[str, Input], given: Mapping[str, Any]) -> Graph:
        arguments = {key: Parameter(key, declared[key]) if key in declared else given[key] for key in given}
        with model.composing() as steps:
            returned, variables = _run(self._function, arguments)
        return Graph(_names(steps, variables), self._outputs(returned, steps))

    def _outputs(self, returned: Any, steps: list[Step]) -> dict[str, StepOutput]:
        if returned is None:
            return {}
        if not isinstance(returned, Mapping):
            raise self._wrong("returns", type(returned).__name__)
        for key, each in returned.items():
            if not isinstance(each, StepOutput):
                raise self._wrong(f"returns as '{key}'", type(each).__name__)
            if not any(each._owner is step for step in steps):
                raise self._wrong(f"returns as '{key}'", "an output of another pipeline")
        return dict(returned)

    def _wrong(self, what: str, found: str) -> errors.InvalidInput:
        return errors.InvalidInput(
            f"The pipeline {self.__name__} {what} {found}", where=model.where(self._made_at),
            cure='Return a dictionary of outputs: {"model": train.outputs.model}.',
        )  # fmt: skip


def _run(function: Callable[..., Any], arguments: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """What a function returns, and what its variables were when it did."""
    code = cast("CodeType", inspect.unwrap(function).__code__)
    variables: dict[str, Any] = {}
    before = sys.getprofile()

    def look(frame: FrameType, event: Any, argument: Any) -> None:
        if event == "return" and frame.f_code is code:
            variables.update(frame.f_locals)
        if before is not None:
            before(frame, event, argument)

    sys.setprofile(look)
    try:
        return function(**arguments), variables
    finally:
        sys.setprofile(before)


def _names(steps: list[Step], variables: Mapping[str, Any]) -> dict[str, Step]:
    """Each step by its name: the one it was given, that of its variable, or that of what it runs."""
    named: dict[str, Step] = {}
    for step in steps:
        variable = next((key for key, value in variables.items() if value is step and not key.startswith("_")), None)
        wanted = (_own_name(step) or variable) or variable_name(step._default_name())
        name, count = wanted, 0
        while name in named or (name != variable and any(key == name for key in _taken(steps, variables, step))):
            count += 1
            name = f"{wanted}_{count}"
        named[name] = step
    return named


def _own_name(step: Step) -> str | None:
    """A name that was set on the step itself, or on what it was made of."""
    return step.name if step.name and not isinstance(step, Control) else None


def _taken(steps: list[Step], variables: Mapping[str, Any], besides: Step) -> list[str]:
    return [key for key, value in variables.items() if value is not besides and any(value is each for each in steps)]


@overload
def pipeline(function: Callable[P, Any], /) -> PipelineFunction[P]: ...
@overload
def pipeline(
    function: None = None, /, *, name: str | None = None, version: str | None = None,
    display_name: str | None = None, description: str | None = None, experiment_name: str | None = None,
    tags: Mapping[str, str] | None = None, compute: str | None = None, default_compute: str | None = None,
    default_datastore: str | None = None, continue_on_step_failure: bool | None = None,
    force_rerun: bool | None = None, on_init: str | None = None, on_finalize: str | None = None,
    non_pipeline_inputs: Sequence[str] = (),
) -> Callable[[Callable[P, Any]], PipelineFunction[P]]: ...  # fmt: skip
def pipeline(
    function: Any = None, /, *, name: str | None = None, version: str | None = None,
    display_name: str | None = None, description: str | None = None, experiment_name: str | None = None,
    tags: Mapping[str, str] | None = None, compute: str | None = None, default_compute: str | None = None,
    default_datastore: str | None = None, continue_on_step_failure: bool | None = None,
    force_rerun: bool | None = None, on_init: str | None = None, on_finalize: str | None = None,
    non_pipeline_inputs: Sequence[str] = (),
) -> Any:  # fmt: skip
    """Decorate a function that composes a pipeline.

    Its parameters are the pipeline's inputs (``rate: float = 0.1``, ``data: Input(type="uri_folder")``); steps are
    called in it, and named like the variables that they are assigned to; it returns a dictionary of outputs.
    ``non_pipeline_inputs``: parameters that are plain values while it is composed. ``name`` and ``version`` are those
    of the component that it can be registered as.
    """
    job = {
        "display_name": display_name or None, "description": description, "experiment_name": experiment_name,
        "tags": dict(tags or {}), "compute": compute,
    }  # fmt: skip
    settings = {
        "default_compute": default_compute, "default_datastore": default_datastore,
        "continue_on_step_failure": continue_on_step_failure, "force_rerun": force_rerun, "on_init": on_init,
        "on_finalize": on_finalize,
    }  # fmt: skip
    said = {"job": job, "settings": settings, "version": version, "name": name}

    def decorate(each: Callable[P, Any]) -> PipelineFunction[P]:
        return PipelineFunction(each, said, non_pipeline_inputs)

    return decorate if function is None else decorate(function)
