"""One node of a pipeline as a step: its component merged in, its inputs bound, the steps inside it built as well."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from doubleloop.base import errors
from doubleloop.specs import bindings, expressions, pointers, scopes, step_kinds
from doubleloop.specs import step_parts as parts
from doubleloop.specs.bindings import Binding, Literal, Step, StepOutput
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


def _pipeline(scope: Scope, name: str, node: graphs.PipelineNode) -> Step:
    component = scope.component(name)
    parts.one_of(scope, name, node, "jobs", "write the steps, or the pipeline component to run")
    if scope.depth >= scopes.MAX_DEPTH:
        raise errors.InvalidInput(
            f"pipelines are nested more than {scopes.MAX_DEPTH} deep",
            where=scope.where(name),
            cure="is one part of itself?",
        )
    bound = parts.bound_inputs(scope, name, node, component.inputs if component else None)
    below = _scope_inside(scope, name, node, component)
    settings = node.settings or (component.settings if component else None)
    step = parts.step(scope, name, node, component, bound)
    body = bindings.Pipeline(inside(below), bool(settings and settings.continue_on_step_failure))
    return replace(step, body=body)


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
    loop = bindings.Loop(parts.inner(repeated), condition, mapping, node.limits.max_iteration_count)
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
        display_name=parts.title(name, node),
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
    loop = bindings.ForEach(parts.inner(step), bound, node.max_concurrency or 0)
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
    graphs.CommandNode: step_kinds.command,
    graphs.PipelineNode: _pipeline,
    sweeps.SweepNode: step_kinds.sweep,
    parallel.ParallelNode: step_kinds.parallel,
    spark.SparkNode: step_kinds.spark,
    automl.AutomlNode: step_kinds.automl,
    control.DoWhile: _do_while,
    control.ParallelFor: _parallel_for,
}
