"""One node of a pipeline as a step: its component merged in, its inputs bound, the steps inside it built as well."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from doubleloop.base import errors
from doubleloop.specs import bindings, commands, expressions, pointers, scopes
from doubleloop.specs.bindings import Binding, Literal, OutputDef, PipelineInput, Step, StepOutput
from doubleloop.specs.kinds import automl, control, graphs, parallel, spark, sweeps, values
from doubleloop.specs.scopes import Scope


def build(scope: Scope, name: str) -> Step:
    """The step, with everything that can be said about it before it runs. Raises InvalidInput with line and cure."""
    node = scope.nodes[name]
    step = _BUILDERS[type(node)](scope, name, node)
    settings = scope.settings
    return replace(
        step,
        depends_on=tuple(scope.needs(name)),
        when=tuple(scope.conditions(name)),
        last=bool(settings and settings.on_finalize == name),
    )


def inside(scope: Scope) -> tuple[Step, ...]:
    """Every step of a pipeline, in an order in which they can run."""
    check_settings(scope)
    built = {name: build(scope, name) for name in scope.steps()}
    return tuple(built[name] for name in scope.order())


def check_settings(scope: Scope) -> None:
    """``on_init`` and ``on_finalize`` name steps that no other step is tied to."""
    settings = scope.settings
    for key in ("on_init", "on_finalize"):
        name = getattr(settings, key, None)
        if name is None:
            continue
        where = scope.place.where("settings", key)
        if name not in scope.steps():
            raise bindings.missing("the step", name, scope.steps(), where)
        others = [each for each in scope.steps() if each != name]
        bound = {step for each in others for step in scope.needs(each)} - {settings and settings.on_init}
        tied = [each for each in scope.needs(name) if each != (settings and settings.on_init)]
        if tied or name in bound:
            raise errors.InvalidInput(
                f"the step '{name}' is {key} and exchanges data with other steps",
                where=where,
                cure="give it inputs of the pipeline and values alone",
            )


# -- parts that several kinds share ------------------------------------------------------------------------------------


def bound_inputs(
    scope: Scope, name: str, node: Any, declared: Mapping[str, Any] | None, given_later: frozenset[str] = frozenset()
) -> tuple[dict[str, Binding], set[str]]:
    """What each input is given, and the optional ones that have no value.

    ``declared`` are a component's inputs (None: the step has no component), ``given_later`` those that get their value
    otherwise. Raises InvalidInput for one that the component does not have, and one without a value.
    """
    given: dict[str, Binding] = {}
    unset: set[str] = set()
    for key, value in node.inputs.items():
        wanted = declared.get(key) if declared is not None else None
        if declared is not None and wanted is None:
            what = f"the component of '{name}' declares its inputs, and the input"
            raise bindings.missing(what, key, list(declared), scope.where(name, "inputs", key))
        binding = scope.bind(name, key, value, wanted)
        if binding is None:
            _unset(scope, name, key, value, wanted, given, unset)
        else:
            given[key] = binding
    for key, wanted in (declared or {}).items():
        if key not in node.inputs and key not in given_later:
            _unset(scope, name, key, None, wanted, given, unset)
    return given, unset


def _unset(
    scope: Scope,
    name: str,
    key: str,
    value: Any,
    declared: values.ComponentInput | None,
    given: dict[str, Binding],
    unset: set[str],
) -> None:
    default = bindings.default(declared) if declared else None
    if default is not None:
        given[key] = default
    elif (declared and declared.optional) or getattr(value, "optional", False):
        unset.add(key)
    else:
        raise errors.InvalidInput(
            f"the step '{name}' gets no value for its input '{key}'",
            where=scope.where(name, "inputs", key),
            cure=f"add '{key}: ...' under jobs.{name}.inputs",
        )


def bound_outputs(scope: Scope, name: str, node: Any, declared: Mapping[str, Any] | None) -> dict[str, OutputDef]:
    for key in node.outputs:
        if declared is not None and key not in declared:
            what = f"the component of '{name}' declares its outputs, and the output"
            raise bindings.missing(what, key, list(declared), scope.where(name, "outputs", key))
    known = declared or {}
    keys = list({**known, **node.outputs})
    return {key: scope.output(name, key, node.outputs.get(key), known.get(key)) for key in keys}


def inner(step: Step) -> Step:
    """A step inside a loop or search: its inputs are those of the step around it, its outputs nobody's yet."""
    return replace(
        step,
        inputs={key: PipelineInput(key) for key in (*step.inputs, *sorted(step.unset))},
        unset=frozenset(),
        outputs={
            key: replace(each, path=None, asset_name=None, asset_version=None, pipeline_output=None)
            for key, each in step.outputs.items()
        },
        depends_on=(),
        when=(),
        last=False,
    )


def _component_name(node: Any, component: Any, key: str = "component") -> str | None:
    written = getattr(node, key)
    return written if isinstance(written, str) else component.name if component else None


def _inner_where(scope: Scope, name: str, node: Any, *path: str) -> errors.Where:
    """Where a field of what runs is written: in the component's file when it is part of the document."""
    key = "trial" if isinstance(node, sweeps.SweepNode) else "component"
    inline = getattr(node, key) is not None and not isinstance(getattr(node, key), str)
    return scope.where(name, key, *path) if inline else scope.where(name, *path)


def _one_of(scope: Scope, name: str, node: Any, own: str, says: str) -> None:
    if (node.component is None) == (getattr(node, own) is None):
        raise errors.InvalidInput(
            f"the step '{name}' needs one of '{own}' and 'component'", where=scope.where(name), cure=says
        )


def _environment(scope: Scope, name: str, *choices: Any) -> Any:
    chosen = next((each for each in choices if each is not None), None)
    if chosen is None:
        raise errors.InvalidInput(
            f"the step '{name}' has no environment",
            where=scope.where(name),
            cure="add 'environment: azureml:NAME@latest', or one written inline with a conda_file",
        )
    return chosen


def _title(name: str, node: Any, component: Any = None) -> str:
    return node.display_name or (component.display_name if component else None) or name


# -- commands ----------------------------------------------------------------------------------------------------------


def _command(scope: Scope, name: str, node: graphs.CommandNode) -> Step:
    component = scope.component(name)
    _one_of(scope, name, node, "command", "write the shell command, or the component to run")
    runs = component or node
    if component is None or not isinstance(node.component, str):
        where = _inner_where(scope, name, node, "command")
        commands.check(runs.command or "", runs.inputs, runs.outputs, where)
    given, unset = bound_inputs(scope, name, node, component.inputs if component else None)
    return Step(
        name=name,
        display_name=_title(name, node, component),
        command=runs.command or "",
        code=runs.code,
        environment=_environment(scope, name, node.environment, component.environment if component else None),
        inputs=given,
        outputs=bound_outputs(scope, name, node, component.outputs if component else None),
        environment_variables={
            **(component.environment_variables if component else {}), **node.environment_variables
        },
        limits=node.limits or (component.limits if component else None),
        resources=node.resources or (component.resources if component else None),
        distribution=node.distribution or (component.distribution if component else None),
        compute=scope.compute_of(name),
        component=_component_name(node, component),
        reusable=not (component and component.is_deterministic is False),
        unset=frozenset(unset),
        tags={**(component.tags if component else {}), **node.tags},
        pointer=pointers.join((*scope.place.at, "jobs", name)),
    )  # fmt: skip


# -- pipelines ---------------------------------------------------------------------------------------------------------


def _pipeline(scope: Scope, name: str, node: graphs.PipelineNode) -> Step:
    component = scope.component(name)
    _one_of(scope, name, node, "jobs", "write the steps, or the pipeline component to run")
    if scope.depth >= scopes.MAX_DEPTH:
        raise errors.InvalidInput(
            f"pipelines are nested more than {scopes.MAX_DEPTH} deep",
            where=scope.where(name),
            cure="is one part of itself?",
        )
    given, unset = bound_inputs(scope, name, node, component.inputs if component else None)
    below = _scope_inside(scope, name, node, component)
    settings = node.settings or (component.settings if component else None)
    return Step(
        name=name,
        display_name=_title(name, node, component),
        command="",
        code=None,
        environment="",
        inputs=given,
        outputs=bound_outputs(scope, name, node, component.outputs if component else None),
        environment_variables={},
        limits=None,
        resources=None,
        component=_component_name(node, component),
        reusable=not (component and component.is_deterministic is False),
        unset=frozenset(unset),
        tags={**(component.tags if component else {}), **node.tags},
        pointer=pointers.join((*scope.place.at, "jobs", name)),
        body=bindings.Pipeline(inside(below), bool(settings and settings.continue_on_step_failure)),
    )


def _scope_inside(scope: Scope, name: str, node: graphs.PipelineNode, component: Any) -> Scope:
    if component is None:
        place = scope.place.below("jobs", name)
    elif isinstance(node.component, str):
        place = scopes.Place(scope.place.source, (), scope.where(name, "component"))
    else:
        place = scope.place.below("jobs", name, "component")
    runs = component or node
    settings = node.settings or runs.settings
    return Scope(
        place=place,
        nodes=runs.jobs or {},
        inputs=runs.inputs if component else {key: _declared(key, node) for key in node.inputs},
        outputs=runs.outputs,
        settings=settings,
        compute=node.compute or scope.compute_of(name),
        components=scope.components,
        depth=scope.depth + 1,
    )


def _declared(key: str, node: graphs.PipelineNode) -> Any:
    """An input of a pipeline written inline, as its steps see it: of the type it says, its value unknown to them."""
    value = node.inputs[key]
    kind = value.type if isinstance(value, values.Input) else None
    return values.ComponentInput.model_validate({"type": kind or "string", "optional": True})


# -- searches ----------------------------------------------------------------------------------------------------------


def _sweep(scope: Scope, name: str, node: sweeps.SweepNode) -> Step:
    component = scope.component(name)
    if component is None:  # registered, and not known here: nothing can be said of its inputs
        given, unset = bound_inputs(scope, name, node, None)
        trial = Step(name, name, "", None, "", {}, {}, {}, None, None)
        return _searching(scope, name, node, None, trial, given, unset)
    if not isinstance(node.trial, str):
        commands.check(
            component.command, component.inputs, component.outputs, _inner_where(scope, name, node, "command")
        )
    space = frozenset(node.search_space)
    given, unset = bound_inputs(scope, name, node, component.inputs, space)
    for key in node.search_space:
        _check_parameter(scope, name, key, node, component)
    trial = Step(
        name=name,
        display_name=_title(name, node, component),
        command=component.command,
        code=component.code,
        environment=component.environment,
        inputs={key: PipelineInput(key) for key in component.inputs},
        outputs=bound_outputs(scope, name, node, component.outputs),
        environment_variables={**component.environment_variables, **node.environment_variables},
        limits=component.limits,
        resources=node.resources or component.resources,
        distribution=component.distribution,
        component=_component_name(node, component, "trial"),
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
    return Step(
        name=name,
        display_name=_title(name, node, component),
        command="",
        code=None,
        environment="",
        inputs=given,
        outputs=bound_outputs(scope, name, node, component.outputs if component else None),
        environment_variables={},
        limits=None,
        resources=None,
        compute=scope.compute_of(name),
        component=_component_name(node, component, "trial"),
        reusable=trial.reusable,
        unset=frozenset(unset),
        tags=node.tags,
        pointer=pointers.join((*scope.place.at, "jobs", name)),
        body=bindings.Search(inner(trial), node),
    )


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


# -- parallel and Spark ------------------------------------------------------------------------------------------------


def _parallel(scope: Scope, name: str, node: parallel.ParallelNode) -> Step:
    component = scope.component(name)
    _one_of(scope, name, node, "task", "write the script's task, or the parallel component to run")
    runs = component or node
    given, unset = bound_inputs(scope, name, node, component.inputs if component else None)
    outputs = bound_outputs(scope, name, node, component.outputs if component else None)
    if runs.task is None:  # a registered component that is not known here
        task = parallel.Task.model_construct(environment="", entry_script="-")
    else:
        task = runs.task
    merged = runs.model_copy(update=_written(node)) if component else node
    step = Step(
        name=name,
        display_name=_title(name, node, component),
        command="",
        code=task.code,
        environment=task.environment,
        inputs=given,
        outputs=outputs,
        environment_variables={**runs.environment_variables, **node.environment_variables},
        limits=None,
        resources=node.resources or runs.resources,
        compute=scope.compute_of(name),
        component=_component_name(node, component),
        reusable=not (component and component.is_deterministic is False),
        unset=frozenset(unset),
        tags={**(component.tags if component else {}), **node.tags},
        pointer=pointers.join((*scope.place.at, "jobs", name)),
    )
    if runs.task is None:
        return step
    where = _inner_where(scope, name, node, "task")
    names = component.inputs if component else node.inputs
    return replace(step, body=batches(merged, task, names, outputs, where))


def _written(node: parallel.ParallelNode) -> dict[str, Any]:
    """The fields that a step sets itself, over those of its component."""
    keep = set(parallel.Batches.model_fields) & node.model_fields_set
    return {key: getattr(node, key) for key in keep if getattr(node, key) is not None}


def batches(
    settings: parallel.Batches,
    task: parallel.Task,
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


def _spark(scope: Scope, name: str, node: spark.SparkNode) -> Step:
    component = scope.component(name)
    _one_of(scope, name, node, "entry", "write the entry, or the Spark component to run")
    runs = component or node
    given, unset = bound_inputs(scope, name, node, component.inputs if component else None)
    merged = runs.model_copy(update=_own_spark(node)) if component else node
    if component is None or not isinstance(node.component, str):
        known = component.outputs if component else node.outputs
        commands.check(merged.args or "", runs.inputs, known, _inner_where(scope, name, node, "args"))
    return Step(
        name=name,
        display_name=_title(name, node, component),
        command="",
        code=merged.code,
        environment=merged.environment or "",
        inputs=given,
        outputs=bound_outputs(scope, name, node, component.outputs if component else None),
        environment_variables={**runs.environment_variables, **node.environment_variables},
        limits=None,
        resources=None,
        compute=scope.compute_of(name),
        component=_component_name(node, component),
        reusable=not (component and component.is_deterministic is False),
        unset=frozenset(unset),
        tags={**(component.tags if component else {}), **node.tags},
        pointer=pointers.join((*scope.place.at, "jobs", name)),
        body=bindings.Spark(merged),
    )


def _own_spark(node: spark.SparkNode) -> dict[str, Any]:
    keep = set(spark.Sparks.model_fields) & node.model_fields_set
    found = {key: getattr(node, key) for key in keep if getattr(node, key) is not None}
    return {key: value for key, value in found.items() if value != {}}


# -- AutoML ------------------------------------------------------------------------------------------------------------


def _automl(scope: Scope, name: str, node: automl.AutomlNode) -> Step:
    given, _ = bound_inputs(scope, name, node, None)
    written = node.outputs.get(automl.BEST_MODEL)
    made = scope.output(name, automl.BEST_MODEL, written, None)
    return Step(
        name=name,
        display_name=_title(name, node),
        command="",
        code=None,
        environment="",
        inputs=given,
        outputs={automl.BEST_MODEL: bindings.best_model(written, made)},
        environment_variables=node.environment_variables,
        limits=None,
        resources=node.resources,
        compute=scope.compute_of(name),
        tags=node.tags,
        pointer=pointers.join((*scope.place.at, "jobs", name)),
        body=bindings.Learning(node),
    )


# -- loops -------------------------------------------------------------------------------------------------------------


def _do_while(scope: Scope, name: str, node: control.DoWhile) -> Step:
    body = scope.named_step(node.body, name, "body")
    repeated = build(scope, body)
    known = scope.output_names(body)
    condition = None
    if node.condition is not None:
        condition = _port(scope, name, "condition", node.condition, body, known)
        scope._check_value(StepOutput(body, condition), scope.where(name, "condition"))
    mapping: dict[str, tuple[str, ...]] = {}
    taken: dict[str, str] = {}
    for written, targets in node.mapping.items():
        output = _port(scope, name, "mapping", written, body, known)
        names = [
            _port(scope, name, "mapping", each, body, [*repeated.inputs, *repeated.unset], "inputs") for each in targets
        ]
        for each in names:
            if each in taken:
                raise errors.InvalidInput(
                    f"the input '{each}' is mapped from two outputs: {taken[each]} and {output}",
                    where=scope.where(name, "mapping"),
                    cure="keep one of them",
                )
            taken[each] = output
        mapping[output] = tuple(names)
    loop = bindings.Loop(inner(repeated), condition, mapping, node.limits.max_iteration_count)
    return _around(scope, name, node, repeated, loop)


def _port(
    scope: Scope, name: str, key: str, written: str, body: str, known: list[str] | None, side: str = "outputs"
) -> str:
    """An output (or input) of the body, written alone or as ``${{parent.jobs.BODY.outputs.X}}``."""
    where = scope.where(name, key)
    expression = expressions.whole(written, where)
    if expression and (expression.scope != f"parent.jobs.{side}" or expression.step not in (body, name)):
        raise errors.InvalidInput(
            f"{expression} is not one of the {side} of '{body}', the body of '{name}'",
            where=where,
            cure=f"write ${{{{parent.jobs.{body}.{side}.X}}}}",
        )
    port = expression.name if expression else written
    if known is not None and port not in known:
        raise bindings.missing(f"the body '{body}' has {side}, and '{name}' names one that", port, known, where)
    return port


def _around(scope: Scope, name: str, node: Any, repeated: Step, body: bindings.Body) -> Step:
    """A loop: it takes the inputs of the step that it repeats, and gives its outputs."""
    return replace(
        repeated,
        name=name,
        display_name=_title(name, node),
        command="",
        code=None,
        environment="",
        environment_variables={},
        limits=None,
        distribution=None,
        tags=node.tags,
        pointer=pointers.join((*scope.place.at, "jobs", name)),
        body=body,
    )


def _parallel_for(scope: Scope, name: str, node: control.ParallelFor) -> Step:
    body = scope.named_step(node.body, name, "body")
    items = _items(scope, name, node)
    given_later = {key for each in items.values() for key in each}
    repeated = _build_with(scope, body, given_later)
    where = scope.where(name, "items")
    names = {*repeated.inputs, *repeated.unset, *given_later}
    bound: dict[str, dict[str, Binding]] = {}
    component = scope.component(body)
    for label, each in items.items():
        bound[label] = {}
        for key, value in each.items():
            declared = component.inputs.get(key) if component else None
            if component and declared is None:
                raise bindings.missing(f"the body '{body}' has inputs, and the input", key, sorted(names), where)
            found = scope.bind(body, key, value, declared)
            if found is not None:
                bound[label][key] = found
    step = replace(repeated, inputs={**repeated.inputs, **{key: Literal("") for key in given_later}})
    loop = bindings.ForEach(inner(step), bound, node.max_concurrency or 0)
    return _around(scope, name, node, repeated, loop)


def _build_with(scope: Scope, name: str, given: set[str]) -> Step:
    """The body of a parallel_for: inputs that its items give need no value in the step."""
    node, component = scope.nodes[name], scope.component(name)
    inner_scope = scope
    if component is None:
        stand_in = {key: "" for key in given if key not in node.inputs}
        loose = node.model_copy(update={"inputs": {**node.inputs, **stand_in}})
        inner_scope = replace(scope, nodes={**scope.nodes, name: loose}, _resolved={})
    else:
        inner_scope = replace(scope, _resolved=dict(scope._resolved))
        inputs = {
            key: each.model_copy(update={"optional": True}) if key in given else each
            for key, each in component.inputs.items()
        }
        inner_scope._resolved[name] = component.model_copy(update={"inputs": inputs})
    return build(inner_scope, name)


def _items(scope: Scope, name: str, node: control.ParallelFor) -> dict[str, dict[str, Any]]:
    where = scope.where(name, "items")
    found = node.items
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except ValueError:
            raise errors.InvalidInput(
                "items must be written out, as a list, a mapping, or either as JSON", where=where
            ) from None
    if isinstance(found, list):
        found = {str(number): each for number, each in enumerate(found)}
    if not isinstance(found, dict) or not found or not all(isinstance(each, dict) for each in found.values()):
        raise errors.InvalidInput(
            "items must be a list of mappings from inputs to values, with at least one", where=where
        )
    return {str(key): {k: _item(v) for k, v in each.items()} for key, each in found.items()}


def _item(value: Any) -> Any:
    return values.Input.model_validate(value) if isinstance(value, dict) else value


_BUILDERS: dict[type, Callable[[Scope, str, Any], Step]] = {
    graphs.CommandNode: _command,
    graphs.PipelineNode: _pipeline,
    sweeps.SweepNode: _sweep,
    parallel.ParallelNode: _parallel,
    spark.SparkNode: _spark,
    automl.AutomlNode: _automl,
    control.DoWhile: _do_while,
    control.ParallelFor: _parallel_for,
}
