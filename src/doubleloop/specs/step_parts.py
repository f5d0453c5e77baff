"""What steps of several kinds have in common: what their inputs and outputs are bound to, and how they are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from doubleloop.base import errors
from doubleloop.specs import bindings, pointers
from doubleloop.specs.bindings import Binding, OutputDef, PipelineInput, Step
from doubleloop.specs.kinds import graphs, sweeps, values
from doubleloop.specs.scopes import Scope


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


def step(
    scope: Scope, name: str, node: Any, made_of: Any, bound: tuple[Mapping[str, Binding], set[str]], **own: Any
) -> Step:  # fmt: skip
    """A step with what every kind has, of the node and of the component that it is ``made_of`` (None: of none, or of
    one that is not known here). ``bound`` as ``bound_inputs`` gives it; ``own`` are the fields of the kind. Raises
    InvalidInput."""
    given, unset = bound
    common = {
        "display_name": title(name, node, made_of), "command": "", "code": None, "environment": "", "inputs": given,
        "outputs": bound_outputs(scope, name, node, made_of.outputs if made_of else None),
        "environment_variables": {}, "limits": None, "resources": None,
        # A pipeline runs nowhere: its steps do.
        "compute": None if isinstance(node, graphs.PipelineNode) else scope.compute_of(name),
        "component": component_name(node, made_of),
        "reusable": not (made_of and made_of.is_deterministic is False), "unset": frozenset(unset),
        "tags": {**(made_of.tags if made_of else {}), **node.tags},
        "pointer": pointers.join((*scope.place.at, "jobs", name)),
    }  # fmt: skip
    return Step(name=name, **{**common, **own})


def _names_component(node: Any) -> str:
    """The field in which a node says what it is made of."""
    return "trial" if isinstance(node, sweeps.SweepNode) else "component"


def component_name(node: Any, component: Any) -> str | None:
    written = getattr(node, _names_component(node))
    return written if isinstance(written, str) else component.name if component else None


def inner_where(scope: Scope, name: str, node: Any, *path: str) -> errors.Where:
    """Where a field of what runs is written: in the component's file when it is part of the document."""
    key = _names_component(node)
    inline = getattr(node, key) is not None and not isinstance(getattr(node, key), str)
    return scope.where(name, key, *path) if inline else scope.where(name, *path)


def one_of(scope: Scope, name: str, node: Any, own: str, says: str) -> None:
    if (node.component is None) == (getattr(node, own) is None):
        raise errors.InvalidInput(
            f"the step '{name}' needs one of '{own}' and 'component'", where=scope.where(name), cure=says
        )


def environment(scope: Scope, name: str, *choices: Any) -> Any:
    chosen = next((each for each in choices if each is not None), None)
    if chosen is None:
        raise errors.InvalidInput(
            f"the step '{name}' has no environment",
            where=scope.where(name),
            cure="add 'environment: azureml:NAME@latest', or one written inline with a conda_file",
        )
    return chosen


def title(name: str, node: Any, component: Any = None) -> str:
    return node.display_name or (component.display_name if component else None) or name
