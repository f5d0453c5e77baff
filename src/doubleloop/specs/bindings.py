"""What a step is given and gives: values, data, outputs of other steps; read from the fields of a job."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from doubleloop.base import errors
from doubleloop.specs.kinds import automl, distribution, environment, jobs, parallel, spark, sweeps, values


@dataclass(frozen=True)
class Literal:
    """A value; ``type`` is string, number, integer, boolean or None when it was not declared."""

    value: bool | int | float | str
    type: str | None = None


@dataclass(frozen=True)
class PipelineInput:
    """An input of the pipeline around the step; ``default`` is the step's own value when that input is not set."""

    name: str
    mode: str | None = None
    default: Literal | Asset | None = None


@dataclass(frozen=True)
class StepOutput:
    """An output of another step."""

    step: str
    output: str
    mode: str | None = None


@dataclass(frozen=True)
class Asset:
    """Data: ``path`` is any reference of ``references``; ``type`` uri_file, uri_folder, mltable or a model type."""

    path: str
    type: str = "uri_folder"
    mode: str | None = None


Binding = Literal | PipelineInput | StepOutput | Asset


@dataclass(frozen=True)
class OutputDef:
    """An output: ``path`` when it has a place of its own, ``asset_name`` when it is to be registered,
    ``pipeline_output`` the output of the pipeline that it is."""

    name: str
    type: str = "uri_folder"
    mode: str | None = None
    path: str | None = None
    asset_name: str | None = None
    asset_version: str | None = None
    pipeline_output: str | None = None


@dataclass(frozen=True)
class Condition:
    """What must be so for a step to run: the value of ``binding`` is true, or (``wanted`` False) is not."""

    binding: Binding
    wanted: bool


@dataclass(frozen=True)
class Pipeline:
    """Steps inside a step. ``go_on``: those that need no failed one continue."""

    steps: tuple[Step, ...]
    go_on: bool = False


@dataclass(frozen=True)
class Loop:
    """``step`` again and again, while its output ``condition`` is true (always, when None), at most ``limit`` times.

    ``mapping``: output of a round → inputs that it becomes in the next.
    """

    step: Step
    condition: str | None
    mapping: Mapping[str, tuple[str, ...]]
    limit: int


@dataclass(frozen=True)
class ForEach:
    """``step`` once for each of ``items`` (name → inputs), at most ``at_once`` at the same time (0: all)."""

    step: Step
    items: Mapping[str, Mapping[str, Binding]]
    at_once: int = 0


@dataclass(frozen=True)
class Search:
    """``trial`` with values from a space; ``settings`` say which, how many, and what is best."""

    trial: Step
    settings: sweeps.Sweeps


@dataclass(frozen=True)
class Batches:
    """A script's ``run`` over the mini-batches of the input ``data``; ``rows`` is the output its rows go to."""

    script: str
    arguments: str
    data: tuple[str, ...]
    rows: str | None
    settings: parallel.Batches


@dataclass(frozen=True)
class Spark:
    """What is given to spark-submit."""

    settings: spark.Sparks


@dataclass(frozen=True)
class Learning:
    """Trials of algorithms on the tables that are the step's inputs; ``settings`` say which, how many, what is best."""

    settings: automl.Automl


Body = Pipeline | Loop | ForEach | Search | Batches | Spark | Learning


@dataclass(frozen=True)
class Step:
    """One thing to run. ``environment`` is a reference, an inline environment or "" (steps that are made of others
    have none); ``pointer`` is where the step stands in its document; ``unset`` are declared inputs that are optional
    and have no value; ``body`` is what makes it another kind than a command. ``last``: it runs when all others have
    ended, however they did."""

    name: str
    display_name: str
    command: str
    code: str | None
    environment: environment.Environment | str
    inputs: Mapping[str, Binding]
    outputs: Mapping[str, OutputDef]
    environment_variables: Mapping[str, str]
    limits: jobs.Limits | None
    resources: jobs.Resources | None
    depends_on: tuple[str, ...] = ()
    compute: str | None = None
    component: str | None = None
    reusable: bool = True
    unset: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)
    pointer: str = ""
    distribution: distribution.Distribution | None = None
    when: tuple[Condition, ...] = ()
    last: bool = False
    body: Body | None = None


def text(value: bool | int | float | str) -> str:
    """A literal as the command sees it; booleans as ``True`` and ``False``, as in Azure ML."""
    return str(value)


def missing(what: str, name: str, known: list[str], where: errors.Where) -> errors.InvalidInput:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    cure = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known) or 'none'}"
    return errors.InvalidInput(f"{what} '{name}' does not exist", where=where, cure=cure)


def type_of(name: str | None) -> str:
    return "uri_folder" if name in (None, "path") else str(name)


def default(declared: values.ComponentInput) -> Literal | Asset | None:
    if declared.default is None:
        return None
    if declared.type in values.PRIMITIVES:
        return Literal(declared.default, declared.type)
    return Asset(str(declared.default), type_of(declared.type), declared.mode)


def own(where: errors.Where, name: str, value: Any) -> Literal | Asset | None:
    """An input of a job as value or data; None when it has a type only. ``where`` is its place."""
    if not isinstance(value, values.Input):
        return Literal(value)
    if value.path is not None and value.value is not None:
        raise errors.InvalidInput(f"'{name}' has both a path and a value", where=where, cure="keep one of them")
    literal = value.value if value.value is not None else value.default
    if value.path is not None:
        return Asset(value.path, type_of(value.type), value.mode)
    if literal is None:
        return None
    if value.type is None or value.type in values.PRIMITIVES:
        _check_type(where, name, literal, value.type)
        return Literal(literal, value.type)
    return Asset(str(literal), type_of(value.type), value.mode)


def _check_type(where: errors.Where, name: str, literal: Any, kind: str | None) -> None:
    problem = mistyped(literal, kind) if "${{" not in str(literal) else None
    if problem:
        raise errors.InvalidInput(f"the input '{name}' {problem}, not {literal!r}", where=where)


def output(name: str, value: Any) -> OutputDef:
    if isinstance(value, values.ComponentOutput):
        return OutputDef(name, type_of(value.type), value.mode)
    if not isinstance(value, values.Output):
        return OutputDef(name, path=value)
    return OutputDef(name, type_of(value.type), value.mode, value.path, value.name, value.version)


def best_model(written: Any, made: OutputDef) -> OutputDef:
    """The output of an AutoML step: an MLflow model, unless another type is written."""
    own_type = getattr(written, "type", None)
    return made if own_type or made.type != "uri_folder" else replace(made, type="mlflow_model")


def misfit(value: Any, declared: values.ComponentInput) -> str | None:
    """Why a value does not fit a declared input, as the end of a sentence; None when it does."""
    problem = mistyped(value, declared.type)
    if problem:
        return problem
    if declared.type in ("integer", "number"):
        number = float(str(value))
        if declared.min is not None and number < declared.min:
            return f"must be at least {declared.min:g}"
        if declared.max is not None and number > declared.max:
            return f"must be at most {declared.max:g}"
    if declared.enum is not None and str(value) not in declared.enum:
        return f"must be one of {', '.join(declared.enum)}"
    return None


def mistyped(value: Any, kind: str | None) -> str | None:
    """Why a value is none of a primitive type, as the end of a sentence; None when it is, or the type is no such."""
    if kind == "boolean":
        fits = isinstance(value, bool) or str(value).lower() in ("true", "false")
        return None if fits else "must be true or false"
    if kind not in ("integer", "number"):
        return None
    try:
        int(str(value)) if kind == "integer" else float(str(value))
    except ValueError:
        return "must be a whole number" if kind == "integer" else "must be a number"
    return None
