"""Jobs as uniform steps, and what can be said about them before they run: edges, order, cycles, missing pieces."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from doubleloop.base import errors
from doubleloop.specs import bindings, building, commands, references, scopes, step_kinds, step_parts
from doubleloop.specs.kinds import automl, graphs, values
from doubleloop.specs.model import Document

SINGLE_STEP = "command"  # the name of the one step of a command job
SINGLE_STEPS = {
    "command_job": SINGLE_STEP, "sweep_job": "sweep", "parallel_job": "parallel", "spark_job": "spark",
    "automl_job": "automl",
}  # fmt: skip


Literal = bindings.Literal
PipelineInput = bindings.PipelineInput
StepOutput = bindings.StepOutput
Asset = bindings.Asset
Binding = bindings.Binding
OutputDef = bindings.OutputDef
Step = bindings.Step
text = bindings.text

Components = graphs.Components
_PIPELINES = ("pipeline_job", "pipeline_component")


def check(document: Document) -> None:
    """Raises InvalidInput, with line and nearest name, for anything in a job or component that cannot work:
    a reference to a missing step, input or output, a cycle, a missing required input, a command without environment.

    Steps of registered components are checked once the components are known: ``steps`` does it.
    """
    model = document.model
    if document.kind in _PIPELINES:
        scope = _scope(document, None)
        if scope is None:
            return  # the whole pipeline is a registered component
        if not scope.nodes:
            where = document.source.where("jobs")
            raise errors.InvalidInput("the pipeline has no steps", where=where, cure="write them under 'jobs:'")
        for name, value in model.inputs.items():
            if not isinstance(value, values.ComponentInput):
                bindings.own(document.source.where(f"inputs.{name}"), name, value)
        _check_scope(scope)
    elif document.kind in SINGLE_STEPS:
        _SINGLE[document.kind](document, False)
    elif document.kind == "command_component":
        commands.check(model.command, model.inputs, model.outputs, document.source.where("command"))
    elif document.kind == "parallel_component":
        outputs = {name: bindings.output(name, value) for name, value in model.outputs.items()}
        step_kinds.batches(model, model.task, model.inputs, outputs, document.source.where("task"))
    elif document.kind == "spark_component":
        commands.check(model.args or "", model.inputs, model.outputs, document.source.where("args"))


def _check_scope(scope: scopes.Scope) -> None:
    building.check_settings(scope)
    for name in scope.steps():
        node = scope.nodes[name]
        if not isinstance(node, scopes.Looping) and scope.is_unknown(name):
            for key, value in node.inputs.items():
                scope.bind(name, key, value)
            for key, output in node.outputs.items():
                scope.output(name, key, output, None)
            continue
        building.build(scope, name)
    for name in scope.nodes:
        scope.conditions(name)
    scope.order()


def steps(document: Document, *, component: Components | None = None) -> list[Step]:
    """The steps of a job in an order in which they can run; a job that is no pipeline is one step.

    ``component`` gives the component of a reference such as ``azureml:train:1``. Raises as ``check``, NotFound for a
    registered component when ``component`` is None, InvalidInput for an input that has a type and no value.
    """
    if document.kind in SINGLE_STEPS:
        return [_SINGLE[document.kind](document, True)]
    if document.kind not in _PIPELINES:
        raise errors.InvalidInput(f"a {document.kind.replace('_', ' ')} has no steps", where=document.source.where())
    scope = _scope(document, component or _no_components)
    assert scope is not None
    return list(building.inside(scope))


def order(document: Document) -> list[str]:
    """The names of a pipeline's steps so that each comes after those it needs; else in the order of writing.

    Raises InvalidInput naming the cycle when there is one.
    """
    scope = _scope(document, None)
    return scope.order() if scope else []


def edges(document: Document) -> list[tuple[str, str]]:
    """Pairs (step, step that needs it), each once, in the order of writing."""
    scope = _scope(document, None)
    return [(needed, name) for name in scope.steps() for needed in scope.needs(name)] if scope else []


def inputs(document: Document, *, component: Components | None = None) -> dict[str, Literal | Asset]:
    """The inputs of a job (for a pipeline: what ``PipelineInput`` refers to). Optional ones without value are left out.

    Raises InvalidInput for one that has a type and neither path nor value.
    """
    found = {}
    for name, value in {**_declared(document, component)[0], **document.model.inputs}.items():
        if isinstance(value, values.ComponentInput):
            binding = bindings.default(value)
        else:
            binding = bindings.own(document.source.where(f"inputs.{name}"), name, value)
            binding = _as_declared(document, name, binding, component)
        if binding is None and not value.optional:
            raise _unbound(document, name)
        if binding is not None:
            found[name] = binding
    return found


def outputs(document: Document, *, component: Components | None = None) -> dict[str, OutputDef]:
    """The outputs of a job."""
    declared = _declared(document, component)[1]
    return {name: bindings.output(name, value) for name, value in {**declared, **document.model.outputs}.items()}


# -- pipelines ---------------------------------------------------------------------------------------------------------


def _scope(document: Document, components: Components | None) -> scopes.Scope | None:
    """The pipeline of a document; None when it is a registered component and ``components`` is None."""
    model = document.model
    place = scopes.Place(document.source)
    found = getattr(model, "component", None)
    if found is None:
        return scopes.Scope(
            place, model.jobs, model.inputs, model.outputs, model.settings, getattr(model, "compute", None), components
        )
    if model.jobs:
        raise errors.InvalidInput(
            "the pipeline has both 'jobs' and a 'component'",
            where=document.source.where("component"),
            cure="keep one of them",
        )
    if isinstance(found, str):
        if components is None:
            return None
        place = scopes.Place(document.source, (), document.source.where("component"))
    else:
        place = place.below("component")
    component = _component(document, components)
    for name in model.inputs:
        if name not in component.inputs:
            what = "the component declares its inputs, and the input"
            raise bindings.missing(what, name, list(component.inputs), document.source.where(f"inputs.{name}"))
    return scopes.Scope(
        place, component.jobs, {**component.inputs, **model.inputs}, {**component.outputs, **model.outputs},
        model.settings or component.settings, model.compute, components, 1,
    )  # fmt: skip


def _component(document: Document, components: Components | None) -> graphs.PipelineComponent:
    written = document.model.component
    if not isinstance(written, str):
        return written
    where = document.source.where("component")
    try:
        found = (components or _no_components)(written)
    except errors.DoubleloopError as error:
        raise type(error)(error.what, where=where, cure=error.cure, details=error.details) from None
    if not isinstance(found, graphs.PipelineComponent):
        raise errors.InvalidInput(
            f"the component '{written}' is of type {found.type}, and a pipeline is needed", where=where
        )
    return found


def _declared(
    document: Document, components: Components | None
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:  # fmt: skip
    """Inputs and outputs that the component of a pipeline job declares."""
    written = getattr(document.model, "component", None)
    if written is None or (isinstance(written, str) and components is None):
        return {}, {}
    component = _component(document, components)
    return component.inputs, component.outputs


def _as_declared(
    document: Document, name: str, binding: Literal | Asset | None, components: Components | None
) -> Literal | Asset | None:
    declared = _declared(document, components)[0].get(name)
    if declared is None:
        return binding
    if binding is None:
        return bindings.default(declared)
    where = document.source.where(f"inputs.{name}")
    return scopes.fitted(binding, declared, name, where) if isinstance(binding, Literal) else binding


def _unbound(document: Document, name: str) -> errors.InvalidInput:
    place = _place(document, name)
    is_table = document.kind == "automl_job"
    return errors.InvalidInput(
        f"the input '{name}' has no value",
        where=document.source.where(place),
        cure=f"give one: --set {place}.path=..." + ("" if is_table else f" (data) or --set {place}.value=..."),
    )


def _place(document: Document, name: str) -> str:
    """Where an input stands; the tables of an AutoML job have fields of their own."""
    return name if document.kind == "automl_job" else f"inputs.{name}"


def _no_components(reference: str) -> graphs.Component:
    raise errors.NotFound(f"the component '{reference}' is not known here", cure="register it, or give its file")


# -- jobs of one step --------------------------------------------------------------------------------------------------


def _bound(document: Document, bound: bool, but: frozenset[str] = frozenset()) -> tuple[dict[str, Any], frozenset[str]]:
    """The inputs of a job of one step, and the optional ones that are not set."""
    model = document.model
    given = {
        name: bindings.own(document.source.where(_place(document, name)), name, value)
        for name, value in model.inputs.items()
        if name not in but
    }
    unset = {name for name in given if given[name] is None and getattr(model.inputs[name], "optional", False)}
    for name, binding in given.items():
        if bound and binding is None and name not in unset:
            raise _unbound(document, name)
    return {name: binding for name, binding in given.items() if binding is not None}, frozenset(unset)


def _step(document: Document, bound: bool, **different: Any) -> Step:
    job = document.model
    given, unset = _bound(document, bound)
    name = SINGLE_STEPS[document.kind]
    step = Step(
        name=name,
        display_name=job.display_name or job.name or name,
        command="",
        code=None,
        environment="",
        inputs=given,
        outputs=outputs(document),
        environment_variables=job.environment_variables,
        limits=None,
        resources=None,
        compute=references.compute_name(job.compute) if job.compute else None,
        unset=unset,
        tags=job.tags,
    )
    return replace(step, **different)


def _command(document: Document, bound: bool) -> Step:
    job = document.model
    commands.check(job.command, job.inputs, job.outputs, document.source.where("command"))
    return _step(
        document, bound, command=job.command, code=job.code, environment=job.environment, limits=job.limits,
        resources=job.resources, distribution=job.distribution,
    )  # fmt: skip


_PARAMETER = re.compile(r"\$\{\{\s*search_space\.")


def _sweep(document: Document, bound: bool) -> Step:
    job, trial = document.model, document.model.trial
    where = document.source.where("trial.command")
    commands.check(trial.command, job.inputs, job.outputs, where, job.search_space)
    step = _step(document, bound, environment_variables={})
    names = [*step.inputs, *sorted(step.unset), *job.search_space]
    tried = replace(
        step,
        command=_PARAMETER.sub("${{inputs.", trial.command),
        code=trial.code,
        environment=trial.environment,
        inputs={name: PipelineInput(name) for name in names},
        unset=frozenset(),
        environment_variables={**trial.environment_variables, **job.environment_variables},
        limits=trial.limits,
        resources=trial.resources or job.resources,
        distribution=trial.distribution,
    )
    return replace(step, body=bindings.Search(step_parts.inner(tried), job))


def _parallel(document: Document, bound: bool) -> Step:
    job = document.model
    found = step_kinds.batches(job, job.task, job.inputs, outputs(document), document.source.where("task"))
    return _step(
        document, bound, code=job.task.code, environment=job.task.environment, resources=job.resources, body=found
    )


def _spark(document: Document, bound: bool) -> Step:
    job = document.model
    commands.check(job.args or "", job.inputs, job.outputs, document.source.where("args"))
    return _step(document, bound, code=job.code, environment=job.environment or "", body=bindings.Spark(job))


def _automl(document: Document, bound: bool) -> Step:
    job = document.model
    for name, value in job.inputs.items():
        if isinstance(value, str) and "${{" in value:
            raise errors.InvalidInput(
                f"'{value}' means nothing here: the job is no step of a pipeline",
                where=document.source.where(name),
                cure="write {type: mltable, path: ...}",
            )
    written = job.outputs.get(automl.BEST_MODEL)
    made = bindings.best_model(written, bindings.output(automl.BEST_MODEL, written))
    return _step(
        document, bound, outputs={automl.BEST_MODEL: made}, resources=job.resources, body=bindings.Learning(job)
    )


_SINGLE = {
    "command_job": _command, "sweep_job": _sweep, "parallel_job": _parallel, "spark_job": _spark, "automl_job": _automl,
}  # fmt: skip
