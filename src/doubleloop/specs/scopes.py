"""A pipeline as its steps see it: which names there are, what each input is bound to, who needs whom."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from doubleloop.base import errors
from doubleloop.specs import bindings, expressions, pointers, references, sources
from doubleloop.specs.bindings import Asset, Binding, Condition, Literal, OutputDef, PipelineInput, StepOutput
from doubleloop.specs.kinds import automl, control, graphs, parallel, spark, sweeps, values

MAX_DEPTH = 20

Looping = control.DoWhile | control.ParallelFor


@dataclass(frozen=True)
class Place:
    """Where a pipeline is written: at ``at`` in a source, or in a registered component that ``fixed`` names."""

    source: sources.Source
    at: pointers.Pointer = ()
    fixed: errors.Where | None = None

    def where(self, *path: str) -> errors.Where:
        return self.fixed or self.source.where((*self.at, *path))

    def below(self, *path: str) -> Place:
        return replace(self, at=(*self.at, *path))


@dataclass
class Scope:
    """One pipeline: a job, a component or steps within a step.

    ``inputs`` are what ``${{parent.inputs.X}}`` may name: declarations (ComponentInput) or values. Without
    ``components`` registered components are taken on trust.
    """

    place: Place
    nodes: Mapping[str, Any]
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    settings: graphs.Settings | None = None
    compute: str | None = None
    components: graphs.Components | None = None
    depth: int = 0
    _resolved: dict[str, Any] = field(default_factory=dict)

    # -- names --------------------------------------------------------------------------------------------------------

    def where(self, step: str, *path: str) -> errors.Where:
        if path[:1] == ("inputs",) and isinstance(self.nodes.get(step), automl.AutomlNode):
            path = path[1:]  # its tables have fields of their own
        return self.place.where("jobs", step, *path)

    def steps(self) -> list[str]:
        """The nodes that are steps of their own, in the order of writing: not if_else, nor the bodies of loops."""
        bodies = set(self.bodies())
        return [
            name
            for name, node in self.nodes.items()
            if not isinstance(node, control.IfElse) and name not in bodies
        ]  # fmt: skip

    def bodies(self) -> dict[str, str]:
        """Which step is repeated by which loop. Raises InvalidInput for one that two loops want."""
        found: dict[str, str] = {}
        for name, node in self.nodes.items():
            if isinstance(node, Looping):
                body = self.named_step(node.body, name, "body")
                if body in found or isinstance(self.nodes[body], (control.IfElse, *Looping.__args__)):
                    raise errors.InvalidInput(
                        f"the step '{body}' cannot be the body of '{name}'",
                        where=self.where(name, "body"),
                        cure="name a command, pipeline or other step that no other loop repeats",
                    )
                found[body] = name
        return found

    def named_step(self, written: str, node: str, key: str) -> str:
        """The step that ``${{parent.jobs.STEP}}`` (or the bare name) names. Raises InvalidInput."""
        where = self.where(node, key)
        expression = expressions.whole(written, where)
        name = expression.step if expression and expression.scope == "parent.jobs" else written
        if name not in self.nodes:
            raise bindings.missing("the step", name, list(self.nodes), where)
        return name

    def component(self, name: str) -> Any:
        """The component of a step; None when it has none, or when it is registered and not known here."""
        if name not in self._resolved:
            node = self.nodes[name]
            written = node.trial if isinstance(node, sweeps.SweepNode) else getattr(node, "component", None)
            self._resolved[name] = self._fetched(name, written) if isinstance(written, str) else written
        return self._resolved[name]

    def _fetched(self, name: str, written: str) -> Any:
        key = "trial" if isinstance(self.nodes[name], sweeps.SweepNode) else "component"
        where = self.where(name, key)
        if isinstance(references.parse(written, where), references.Local):
            raise errors.InvalidInput(f"the component '{written}' is a local file that was not read in", where=where)
        if self.components is None:
            return None
        try:
            found = self.components(written)
        except errors.DoubleloopError as error:
            raise type(error)(error.what, where=where, cure=error.cure, details=error.details) from None
        wanted = _COMPONENTS.get(type(self.nodes[name]))
        if wanted and not isinstance(found, wanted):
            raise errors.InvalidInput(
                f"the component '{written}' is of type {found.type}, and the step is of type {self.nodes[name].type}",
                where=where,
                cure=f"write 'type: {found.type}'",
            )
        return found

    def is_unknown(self, name: str) -> bool:
        """Whether the step's component is registered and not looked up here."""
        node = self.nodes[name]
        written = node.trial if isinstance(node, sweeps.SweepNode) else getattr(node, "component", None)
        return isinstance(written, str) and self.component(name) is None

    def output_names(self, name: str) -> list[str] | None:
        """The outputs of a step; None when its component is not known yet."""
        node = self.nodes[name]
        if isinstance(node, Looping):
            return self.output_names(self.named_step(node.body, name, "body"))
        if isinstance(node, control.IfElse):
            return []
        if isinstance(node, automl.AutomlNode):
            return [automl.BEST_MODEL]
        if self.is_unknown(name):
            return None
        component = self.component(name)
        return list({**(component.outputs if component else {}), **node.outputs})

    # -- order --------------------------------------------------------------------------------------------------------

    def needs(self, name: str) -> list[str]:
        """The steps that must have ended before this one, in the order of its inputs and conditions."""
        found = {binding.step: None for binding in self._bound(name) if isinstance(binding, StepOutput)}
        settings = self.settings
        if settings and settings.on_init and name not in (settings.on_init, settings.on_finalize):
            found.setdefault(settings.on_init, None)
        return list(found)

    def _bound(self, name: str) -> Iterator[Binding]:
        for _, binding in self._bound_inputs(name):
            yield binding
        for condition in self.conditions(name):
            yield condition.binding

    def _bound_inputs(self, name: str) -> Iterator[tuple[str, Binding]]:
        node = self.nodes[name]
        if isinstance(node, Looping):
            if isinstance(node, control.ParallelFor) and isinstance(node.items, str) and "${{" in node.items:
                yield "items", self._expression(node.items, None, self.where(name, "items"))
            name = self.named_step(node.body, name, "body")
            node = self.nodes[name]
        for key, value in node.inputs.items():
            binding = self.bind(name, key, value)
            if binding is not None:
                yield key, binding

    def order(self) -> list[str]:
        """The steps so that each comes after those it needs; else in the order of writing.

        Raises InvalidInput naming the cycle when there is one.
        """
        names = self.steps()
        waiting = {name: set(self.needs(name)) for name in names}
        ready = [names.index(name) for name in names if not waiting[name]]
        heapq.heapify(ready)
        done: list[str] = []
        while ready:
            name = names[heapq.heappop(ready)]
            done.append(name)
            for other in names:
                if name in waiting[other]:
                    waiting[other].discard(name)
                    if not waiting[other]:
                        heapq.heappush(ready, names.index(other))
        if len(done) < len(names):
            raise self._cycle([name for name in names if waiting[name]])
        return done

    def _cycle(self, stuck: list[str]) -> errors.InvalidInput:
        """The steps that wait for each other, found by walking back from one that cannot start."""
        path = [stuck[0]]
        while True:
            name = next(needed for needed in self.needs(path[-1]) if needed in stuck)
            if name in path:
                break
            path.append(name)
        ring = [*path[path.index(name) :], name][::-1]
        using, needed = ring[1], ring[0]
        keys = (
            key
            for key, binding in self._bound_inputs(using)
            if isinstance(binding, StepOutput) and binding.step == needed
        )
        key = next(keys, None)
        return errors.InvalidInput(
            f"the steps wait for each other: {' -> '.join(ring)}",
            where=self.where(using, "inputs", key) if key else self.where(using),
            cure="remove one of these inputs, or take it from an input of the pipeline",
        )

    # -- conditions ---------------------------------------------------------------------------------------------------

    def conditions(self, name: str) -> list[Condition]:
        """What if_else steps say of this step."""
        found = []
        for key, node in self.nodes.items():
            if not isinstance(node, control.IfElse):
                continue
            blocks = [(block, True) for block in node.true_block or ()]
            blocks += [(block, False) for block in node.false_block or ()]
            for block, wanted in blocks:
                if self.named_step(block, key, "true_block" if wanted else "false_block") == name:
                    found.append(Condition(self._condition(key, node), wanted))
        return found

    def _condition(self, key: str, node: control.IfElse) -> Binding:
        where = self.where(key, "condition")
        if not isinstance(node.condition, str):
            return Literal(node.condition)
        if "${{" not in node.condition:
            if node.condition.lower() in ("true", "false"):
                return Literal(node.condition.lower() == "true")
            raise errors.InvalidInput(
                f"'{node.condition}' cannot be a condition",
                where=where,
                cure="write ${{parent.jobs.STEP.outputs.X}}, ${{parent.inputs.X}}, true or false",
            )
        expression = expressions.whole(node.condition, where)
        if expression and expression.scope == "parent.jobs":
            return self._only_value(expression.step, where)
        binding = self._expression(node.condition, None, where)
        if isinstance(binding, StepOutput):
            self._check_value(binding, where)
        return binding

    def _only_value(self, step: str, where: errors.Where) -> StepOutput:
        """``${{parent.jobs.STEP}}`` as a condition: the one output of the step that has a value."""
        if step not in self.nodes:
            raise bindings.missing("the step", step, list(self.nodes), where)
        names = [name for name in self.output_names(step) or () if self.value_type(step, name)]
        if len(names) != 1:
            raise errors.InvalidInput(
                f"the step '{step}' has {len(names) or 'no'} outputs that can be a condition",
                where=where,
                cure=f"write ${{{{parent.jobs.{step}.outputs.X}}}}, where X is declared with 'type: boolean'",
            )
        return StepOutput(self.bodies().get(step, step), names[0])

    def _check_value(self, binding: StepOutput, where: errors.Where) -> None:
        if self.output_names(binding.step) is not None and not self.value_type(binding.step, binding.output):
            raise errors.InvalidInput(
                f"the output '{binding.output}' of '{binding.step}' is data, and a condition needs a value",
                where=where,
                cure="declare the output with 'type: boolean, is_control: true', and write true or false to it",
            )

    def value_type(self, step: str, output: str) -> str | None:
        """The primitive type of a step's output; None when it is data."""
        node = self.nodes[step]
        if isinstance(node, Looping):
            return self.value_type(self.named_step(node.body, step, "body"), output)
        component = self.component(step)
        for known in (node.outputs, component.outputs if component else {}):
            kind = getattr(known.get(output), "type", None)
            if kind in values.PRIMITIVES:
                return str(kind)
        return None

    # -- bindings -----------------------------------------------------------------------------------------------------

    def bind(
        self, step: str, key: str, value: Any, declared: values.ComponentInput | None = None
    ) -> Binding | None:  # fmt: skip
        """What an input of a step is given; None for one without a value. Raises InvalidInput."""
        where = self.where(step, "inputs", key)
        written = value
        mode: str | None = None
        if isinstance(value, values.Input):
            written = value.path if value.path is not None else value.value if value.value is not None else value
            mode = value.mode
        mode = mode or (declared.mode if declared else None)
        if isinstance(written, str) and "${{" in written:
            is_path = isinstance(value, values.Input) and value.path is not None
            found = self._expression(written, mode, where, value.type if is_path else None)
            if isinstance(found, PipelineInput) and declared is not None:
                self._check_given(found.name, declared, key, where)
                return replace(found, default=bindings.default(declared))
            return found
        binding = bindings.own(self.place.where("jobs", step, "inputs", key), key, value)
        if declared is None or binding is None:
            return binding
        if isinstance(binding, Literal):
            return fitted(binding, declared, key, where)
        kind = value.type if isinstance(value, values.Input) and value.type else declared.type
        return replace(binding, type=bindings.type_of(kind), mode=mode)

    def _check_given(self, name: str, declared: values.ComponentInput, key: str, where: errors.Where) -> None:
        """A value that the job's file gives to a pipeline input fits every step that takes it."""
        given = self.inputs[name]
        if isinstance(given, values.ComponentInput) or declared.type not in values.PRIMITIVES:
            return
        literal = bindings.own(where, name, given)
        problem = bindings.misfit(literal.value, declared) if isinstance(literal, Literal) else None
        if problem:
            raise errors.InvalidInput(f"the input '{key}' {problem}, not {literal.value!r}", where=where)  # type: ignore[union-attr]

    def _expression(self, written: str, mode: str | None, where: errors.Where, kind: str | None = None) -> Binding:
        expressions.check(written, where)
        expression = expressions.whole(written, where)
        if expression is None or expression.scope not in ("parent.inputs", "parent.jobs.outputs"):
            found = expressions.references(written, where)
            if not any(item.scope.startswith(("parent", "inputs", "outputs")) for item in found):
                return Asset(written, bindings.type_of(kind), mode) if kind else Literal(written, "string")
            raise errors.InvalidInput(
                f"'{written}' cannot be the value of a step's input",
                where=where,
                cure="write one expression alone: ${{parent.inputs.X}} or ${{parent.jobs.STEP.outputs.X}}",
            )
        if expression.scope == "parent.inputs":
            if expression.name not in self.inputs:
                raise bindings.missing("the pipeline input", expression.name, list(self.inputs), where)
            return PipelineInput(expression.name, mode)
        return self._step_output(expression, mode, where)

    def _step_output(self, expression: expressions.Expression, mode: str | None, where: errors.Where) -> StepOutput:
        if expression.step not in self.nodes:
            raise bindings.missing("the step", expression.step, list(self.nodes), where)
        known = self.output_names(expression.step)
        if known is not None and expression.name not in known:
            raise bindings.missing(
                f"the step '{expression.step}' has outputs, and the output", expression.name, known, where
            )
        return StepOutput(self.bodies().get(expression.step, expression.step), expression.name, mode)

    def output(self, step: str, key: str, value: Any, declared: values.ComponentOutput | None) -> OutputDef:
        """An output of a step, with what the pipeline says of it when it is one of the pipeline's."""
        where = self.where(step, "outputs", key)
        own = bindings.output(key, value)
        written_type = value.type if isinstance(value, values.Output) else None
        expression = expressions.whole(own.path, where) if own.path else None
        if isinstance(value, str) and (expression is None or expression.scope != "parent.outputs"):
            raise errors.InvalidInput(
                f"'{value}' is not an output of the pipeline",
                where=where,
                cure="write ${{parent.outputs.X}}, or {path: azureml://datastores/STORE/paths/...}",
            )
        outer: OutputDef | None = None
        if expression and expression.scope == "parent.outputs":
            if expression.name not in self.outputs:
                raise bindings.missing("the pipeline output", expression.name, list(self.outputs), where)
            outer = bindings.output(expression.name, self.outputs[expression.name])
        kinds = (written_type, declared.type if declared else None, outer.type if outer else None)
        return replace(
            own,
            type=bindings.type_of(next((kind for kind in kinds if kind), None)),
            mode=own.mode or (declared.mode if declared else None) or (outer.mode if outer else None),
            path=outer.path if outer else own.path,
            pipeline_output=outer.name if outer else None,
        )

    def compute_of(self, name: str) -> str | None:
        """The compute of a step: its own, the pipeline's, or the default; looked up when it is an input."""
        settings = self.settings
        node = self.nodes[name]
        written = (
            getattr(node, "compute", None) or self.compute or (settings.default_compute if settings else None)
        )  # fmt: skip
        if written is None:
            return None
        where = self.where(name, "compute")
        expression = expressions.whole(written, where)
        if expression is None:
            return references.compute_name(written)
        if expression.scope != "parent.inputs" or expression.name not in self.inputs:
            raise bindings.missing("the pipeline input", expression.name or expression.key, list(self.inputs), where)
        value = self.inputs[expression.name]
        if isinstance(value, values.ComponentInput):
            binding: Any = bindings.default(value)
        else:
            binding = bindings.own(where, expression.name, value)
        is_name = isinstance(binding, Literal) and "${{" not in str(binding.value)
        return references.compute_name(str(binding.value)) if is_name else None


_COMPONENTS: dict[Any, Any] = {
    graphs.CommandNode: graphs.jobs.CommandComponent,
    graphs.PipelineNode: graphs.PipelineComponent,
    sweeps.SweepNode: graphs.jobs.CommandComponent,
    parallel.ParallelNode: parallel.ParallelComponent,
    spark.SparkNode: spark.SparkComponent,
}


def fitted(literal: Literal, declared: values.ComponentInput, key: str, where: errors.Where) -> Literal | Asset:
    """A value given to a declared input: of its type, within its bounds; a text for data is a reference."""
    if declared.type not in values.PRIMITIVES:
        reference = references.parse(str(literal.value), where)
        if isinstance(reference, references.Local):
            raise errors.InvalidInput(
                f"the input '{key}' is data ({declared.type}), and {literal.value!r} is a value",
                where=where,
                cure=f"write '{key}: {{type: {declared.type}, path: {literal.value}}}'",
            )
        return Asset(str(literal.value), bindings.type_of(declared.type), declared.mode)
    problem = bindings.misfit(literal.value, declared)
    if problem:
        raise errors.InvalidInput(f"the input '{key}' {problem}, not {literal.value!r}", where=where)
    return Literal(literal.value, declared.type)
