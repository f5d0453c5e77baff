"""Steps that hold no other steps of a pipeline: commands, searches, parallel runs, Spark and AutoML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from doubleloop.base import errors
from doubleloop.specs import bindings, commands, expressions, pointers
from doubleloop.specs import step_parts as parts
from doubleloop.specs.bindings import Binding, OutputDef, PipelineInput, Step
from doubleloop.specs.kinds import automl as learning
from doubleloop.specs.kinds import graphs, sweeps, values
from doubleloop.specs.kinds import parallel as batching
from doubleloop.specs.kinds import spark as sparks
from doubleloop.specs.scopes import Scope


def command(scope: Scope, name: str, node: graphs.CommandNode) -> Step:
    component = scope.component(name)
    parts.one_of(scope, name, node, "command", "write the shell command, or the component to run")
    runs = component or node
    if component is None or not isinstance(node.component, str):
        where = parts.inner_where(scope, name, node, "command")
        commands.check(runs.command or "", runs.inputs, runs.outputs, where)
    return parts.step(
        scope, name, node, component, parts.bound_inputs(scope, name, node, component.inputs if component else None),
        command=runs.command or "",
        code=runs.code,
        environment=parts.environment(scope, name, node.environment, component.environment if component else None),
        environment_variables={
            **(component.environment_variables if component else {}), **node.environment_variables
        },
        limits=node.limits or (component.limits if component else None),
        resources=node.resources or (component.resources if component else None),
        distribution=node.distribution or (component.distribution if component else None),
    )  # fmt: skip


def sweep(scope: Scope, name: str, node: sweeps.SweepNode) -> Step:
    component = scope.component(name)
    if component is None:  # registered, and not known here: nothing can be said of its inputs
        given, unset = parts.bound_inputs(scope, name, node, None)
        trial = Step(name, name, "", None, "", {}, {}, {}, None, None)
        return _searching(scope, name, node, None, trial, given, unset)
    if not isinstance(node.trial, str):
        commands.check(
            component.command, component.inputs, component.outputs, parts.inner_where(scope, name, node, "command")
        )
    space = frozenset(node.search_space)
    given, unset = parts.bound_inputs(scope, name, node, component.inputs, space)
    for key in node.search_space:
        _check_parameter(scope, name, key, node, component)
    trial = Step(
        name=name,
        display_name=parts.title(name, node, component),
        command=component.command,
        code=component.code,
        environment=component.environment,
        inputs={key: PipelineInput(key) for key in component.inputs},
        outputs=parts.bound_outputs(scope, name, node, component.outputs),
        environment_variables={**component.environment_variables, **node.environment_variables},
        limits=component.limits,
        resources=node.resources or component.resources,
        distribution=component.distribution,
        component=parts.component_name(node, component),
        reusable=component.is_deterministic is not False,
        tags=component.tags,
    )
    return _searching(scope, name, node, component, trial, {k: v for k, v in given.items() if k not in space}, unset)


def _searching(
    scope: Scope,
    name: str,
    node: sweeps.SweepNode,
    component: Any,
    trial: Step,
    given: Mapping[str, Binding],
    unset: set[str],
) -> Step:
    return parts.step(
        scope, name, node, component, (given, unset),
        reusable=trial.reusable,
        tags=node.tags,
        body=bindings.Search(parts.inner(trial), node),
    )  # fmt: skip


def _check_parameter(scope: Scope, name: str, key: str, node: sweeps.SweepNode, component: Any) -> None:
    where = scope.where(name, "search_space", key)
    if key not in component.inputs:
        what = f"the trial of '{name}' declares its inputs, and the input"
        raise bindings.missing(what, key, list(component.inputs), where)
    declared, parameter = component.inputs[key], node.search_space[key]
    for value in parameter.values if isinstance(parameter, sweeps.Choice) else ():
        problem = bindings.misfit(value, declared) if declared.type in values.PRIMITIVES else "is data, not a value"
        if problem:
            raise errors.InvalidInput(f"the input '{key}' {problem}, not {value!r}", where=where)


def parallel(scope: Scope, name: str, node: batching.ParallelNode) -> Step:
    component = scope.component(name)
    parts.one_of(scope, name, node, "task", "write the script's task, or the parallel component to run")
    runs = component or node
    bound = parts.bound_inputs(scope, name, node, component.inputs if component else None)
    if runs.task is None:  # a registered component that is not known here
        task = batching.Task.model_construct(environment="", entry_script="-")
    else:
        task = runs.task
    merged = runs.model_copy(update=_written(node)) if component else node
    step = parts.step(
        scope, name, node, component, bound,
        code=task.code,
        environment=task.environment,
        environment_variables={**runs.environment_variables, **node.environment_variables},
        resources=node.resources or runs.resources,
    )  # fmt: skip
    if runs.task is None:
        return step
    where = parts.inner_where(scope, name, node, "task")
    names = component.inputs if component else node.inputs
    return replace(step, body=batches(merged, task, names, step.outputs, where))


def _written(node: batching.ParallelNode) -> dict[str, Any]:
    """The fields that a step sets itself, over those of its component."""
    keep = set(batching.Batches.model_fields) & node.model_fields_set
    return {key: getattr(node, key) for key in keep if getattr(node, key) is not None}


def batches(
    settings: batching.Batches,
    task: batching.Task,
    inputs: Mapping[str, Any],
    outputs: Mapping[str, OutputDef],
    where: errors.Where,
) -> bindings.Batches:
    """What a parallel step runs over. Raises InvalidInput when it does not say which data, or which script."""
    if not task.entry_script:
        raise errors.InvalidInput("the task has no entry_script", where=where, cure="name the script with run()")
    arguments = task.program_arguments or ""
    commands.check(arguments, inputs, outputs, where)
    data = [each.name for each in expressions.references(settings.input_data or "", where) if each.scope == "inputs"]
    for key in data:
        if key not in inputs:
            raise bindings.missing("input_data: the input", key, list(inputs), where)
    if not data:
        data = [key for key, each in inputs.items() if getattr(each, "type", None) not in (None, *values.PRIMITIVES)]
        if len(data) != 1:
            raise errors.InvalidInput(
                "it is not said which input is divided into mini-batches",
                where=where,
                cure="write 'input_data: ${{inputs.X}}'",
            )
    rows = expressions.whole(task.append_row_to, where) if task.append_row_to else None
    if task.append_row_to and (rows is None or rows.name not in outputs):
        raise bindings.missing("append_row_to: the output", rows.name if rows else "", list(outputs), where)
    return bindings.Batches(task.entry_script, arguments, tuple(data), rows.name if rows else None, settings)


def spark(scope: Scope, name: str, node: sparks.SparkNode) -> Step:
    component = scope.component(name)
    parts.one_of(scope, name, node, "entry", "write the entry, or the Spark component to run")
    runs = component or node
    bound = parts.bound_inputs(scope, name, node, component.inputs if component else None)
    merged = runs.model_copy(update=_own_spark(node)) if component else node
    if component is None or not isinstance(node.component, str):
        known = component.outputs if component else node.outputs
        commands.check(merged.args or "", runs.inputs, known, parts.inner_where(scope, name, node, "args"))
    return parts.step(
        scope, name, node, component, bound,
        code=merged.code,
        environment=merged.environment or "",
        environment_variables={**runs.environment_variables, **node.environment_variables},
        body=bindings.Spark(merged),
    )  # fmt: skip


def _own_spark(node: sparks.SparkNode) -> dict[str, Any]:
    keep = set(sparks.Sparks.model_fields) & node.model_fields_set
    found = {key: getattr(node, key) for key in keep if getattr(node, key) is not None}
    return {key: value for key, value in found.items() if value != {}}


def automl(scope: Scope, name: str, node: learning.AutomlNode) -> Step:
    given, _ = parts.bound_inputs(scope, name, node, None)
    written = node.outputs.get(learning.BEST_MODEL)
    made = scope.output(name, learning.BEST_MODEL, written, None)
    return Step(
        name=name,
        display_name=parts.title(name, node),
        command="",
        code=None,
        environment="",
        inputs=given,
        outputs={learning.BEST_MODEL: bindings.best_model(written, made)},
        environment_variables=node.environment_variables,
        limits=None,
        resources=node.resources,
        compute=scope.compute_of(name),
        tags=node.tags,
        pointer=pointers.join((*scope.place.at, "jobs", name)),
        body=bindings.Learning(node),
    )
