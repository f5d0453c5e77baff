"""Jobs as uniform steps, and what can be said about them before they run: edges, order, cycles, missing pieces."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from doubleloop.base import errors
from doubleloop.specs import bindings, expressions, pointers, references
from doubleloop.specs.kinds import jobs, values
from doubleloop.specs.model import Document

SINGLE_STEP = "command"  # the name of the one step of a command job


Literal = bindings.Literal
PipelineInput = bindings.PipelineInput
StepOutput = bindings.StepOutput
Asset = bindings.Asset
Binding = bindings.Binding
OutputDef = bindings.OutputDef
Step = bindings.Step
text = bindings.text

Components = Callable[[str], jobs.CommandComponent]


def check(document: Document) -> None:
    """Raises InvalidInput, with line and nearest name, for anything in a job or component that cannot work:
    a reference to a missing step, input or output, a cycle, a missing required input, a command without environment.

    Steps of registered components are checked once the components are known: ``steps`` does it.
    """
    if document.kind in ("pipeline_job", "pipeline_component"):
        if not document.model.jobs:
            where = document.source.where("jobs")
            raise errors.InvalidInput("the pipeline has no steps", where=where, cure="write them under 'jobs:'")
        reader = _Pipeline(document, None)
        for name, value in document.model.inputs.items():
            if not isinstance(value, values.ComponentInput):
                bindings.own(document, f"inputs.{name}", value)
        for name in document.model.jobs:
            reader.check(name)
        reader.order()
    elif document.kind == "command_job":
        _single(document, bound=False)
    elif document.kind == "command_component":
        _check_command(document, "", document.model.command, document.model.inputs, document.model.outputs)


def steps(document: Document, *, component: Components | None = None) -> list[Step]:
    """The steps of a job in an order in which they can run; a command job is one step.

    ``component`` gives the component of a reference such as ``azureml:train:1``. Raises as ``check``, NotFound for a
    registered component when ``component`` is None, InvalidInput for an input that has a type and no value.
    """
    if document.kind == "command_job":
        return [_single(document, bound=True)]
    if document.kind not in ("pipeline_job", "pipeline_component"):
        raise errors.InvalidInput(f"a {document.kind.replace('_', ' ')} has no steps", where=document.source.where())
    reader = _Pipeline(document, component or _no_components)
    built = {name: reader.step(name) for name in document.model.jobs}
    return [built[name] for name in reader.order()]


def order(document: Document) -> list[str]:
    """The names of a pipeline's steps so that each comes after those it needs; else in the order of writing.

    Raises InvalidInput naming the cycle when there is one.
    """
    return _Pipeline(document, None).order()


def edges(document: Document) -> list[tuple[str, str]]:
    """Pairs (step, step that needs it), each once, in the order of writing."""
    reader = _Pipeline(document, None)
    return [(needed, name) for name in document.model.jobs for needed in reader.needs(name)]


def inputs(document: Document) -> dict[str, Literal | Asset]:
    """The inputs of a job (for a pipeline: what ``PipelineInput`` refers to). Optional ones without value are left out.

    Raises InvalidInput for one that has a type and neither path nor value.
    """
    found = {}
    for name, value in document.model.inputs.items():
        if isinstance(value, values.ComponentInput):
            binding = bindings.default(value)
        else:
            binding = bindings.own(document, f"inputs.{name}", value)
        if binding is None and not value.optional:
            raise _unbound(document, name)
        if binding is not None:
            found[name] = binding
    return found


def outputs(document: Document) -> dict[str, OutputDef]:
    """The outputs of a job."""
    return {name: bindings.output(name, value) for name, value in document.model.outputs.items()}


def _unbound(document: Document, name: str) -> errors.InvalidInput:
    return errors.InvalidInput(
        f"the input '{name}' has no value",
        where=document.source.where(f"inputs.{name}"),
        cure=f"give one: --set inputs.{name}.path=... (data) or --set inputs.{name}.value=...",
    )


def _no_components(reference: str) -> jobs.CommandComponent:
    raise errors.NotFound(f"the component '{reference}' is not known here", cure="register it, or give its file")


def _check_command(
    document: Document, at: str, command: str, known_inputs: Mapping[str, Any], known_outputs: Mapping[str, Any]
) -> None:
    """Every expression of a command must be declared as input or output; optional inputs stand in ``$[[ ]]``."""
    where = document.source.where(f"{at}.command" if at else "command")
    expressions.check(command, where)
    for expression in expressions.references(command, where):
        if expression.scope == "inputs":
            if expression.name not in known_inputs:
                raise bindings.missing(
                    f"{expression} is used, and the input", expression.name, list(known_inputs), where
                )
            declared = known_inputs[expression.name]
            if getattr(declared, "optional", False) and declared.default is None and not expression.optional:
                raise errors.InvalidInput(
                    f"the input '{expression.name}' is optional, and {expression} stands outside an optional block",
                    where=where,
                    cure=f"write $[[--option {expression}]]",
                )
        elif expression.scope == "outputs":
            if expression.name not in known_outputs:
                raise bindings.missing(
                    f"{expression} is used, and the output", expression.name, list(known_outputs), where
                )
        elif expression.scope not in ("name", "default_datastore"):
            raise errors.InvalidInput(
                f"{expression} cannot stand in a command",
                where=where,
                cure="bind it to an input of the step, and use ${{inputs.X}} in the command",
            )


def _single(document: Document, *, bound: bool) -> Step:
    job = document.model
    _check_command(document, "", job.command, job.inputs, job.outputs)
    given = {name: bindings.own(document, f"inputs.{name}", value) for name, value in job.inputs.items()}
    unset = {name for name, value in job.inputs.items() if given[name] is None and getattr(value, "optional", False)}
    for name, binding in given.items():
        if bound and binding is None and name not in unset:
            raise _unbound(document, name)
    return Step(
        name=SINGLE_STEP,
        display_name=job.display_name or job.name or SINGLE_STEP,
        command=job.command,
        code=job.code,
        environment=job.environment,
        inputs={name: binding for name, binding in given.items() if binding is not None},
        outputs=outputs(document),
        environment_variables=job.environment_variables,
        limits=job.limits,
        resources=job.resources,
        compute=references.compute_name(job.compute) if job.compute else None,
        unset=frozenset(unset),
        tags=job.tags,
    )


class _Pipeline:
    """Reads the steps of one pipeline. Without ``components`` registered components are taken on trust."""

    def __init__(self, document: Document, components: Components | None) -> None:
        self.document = document
        self.model = document.model
        self._components = components
        self._resolved: dict[str, jobs.CommandComponent | None] = {}

    def check(self, name: str) -> None:
        component = self._component(name)
        if component is None and self._node(name).component is not None:
            for key, value in self._node(name).inputs.items():
                self._bind(name, key, value)
            for key, output in self._node(name).outputs.items():
                self._step_output(name, key, output, None)
            return
        self.step(name)

    def step(self, name: str) -> Step:
        node, component = self._node(name), self._component(name)
        self._check_shape(name, node)
        command, declared, written = self._what_runs(node, component)
        inner = f"jobs.{name}.component" if component and not isinstance(node.component, str) else f"jobs.{name}"
        if component is None or not isinstance(node.component, str):
            _check_command(self.document, inner, command, declared, written)
        given, unset = self._bindings(name, node, component)
        chosen = node.environment or (component.environment if component else None)
        if chosen is None:
            raise errors.InvalidInput(
                f"the step '{name}' has no environment",
                where=self._where(name),
                cure="add 'environment: azureml:NAME@latest', or one written inline with a conda_file",
            )
        return Step(
            name=name,
            display_name=node.display_name or (component.display_name if component else None) or name,
            command=command,
            code=component.code if component else node.code,
            environment=chosen,
            inputs=given,
            outputs=self._outputs(name, node, component),
            environment_variables={
                **(component.environment_variables if component else {}),
                **node.environment_variables,
            },
            limits=node.limits or (component.limits if component else None),
            resources=node.resources or (component.resources if component else None),
            depends_on=tuple(self.needs(name)),
            compute=self._compute(name, node),
            component=self._component_name(node, component),
            reusable=not (component and component.is_deterministic is False),
            unset=frozenset(unset),
            tags={**(component.tags if component else {}), **node.tags},
            pointer=pointers.join(("jobs", name)),
        )

    def needs(self, name: str) -> list[str]:
        """The steps whose outputs the step uses, in the order of its inputs."""
        found: dict[str, None] = {}
        for key, value in self._node(name).inputs.items():
            binding = self._bind(name, key, value)
            if isinstance(binding, StepOutput):
                found[binding.step] = None
        return list(found)

    def order(self) -> list[str]:
        names = list(self.model.jobs)
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
        key = next(
            key
            for key, value in self._node(using).inputs.items()
            if isinstance(binding := self._bind(using, key, value), StepOutput) and binding.step == needed
        )
        return errors.InvalidInput(
            f"the steps wait for each other: {' -> '.join(ring)}",
            where=self._where(using, "inputs", key),
            cure="remove one of these inputs, or take it from an input of the pipeline",
        )

    def _node(self, name: str) -> jobs.CommandNode:
        node: jobs.CommandNode = self.model.jobs[name]
        return node

    def _where(self, step: str, *path: str) -> errors.Where:
        return self.document.source.where(("jobs", step, *path))

    def _component(self, name: str) -> jobs.CommandComponent | None:
        if name not in self._resolved:
            written = self._node(name).component
            if isinstance(written, str) and self._components is not None:
                reference = references.parse(written, self._where(name, "component"))
                if isinstance(reference, references.Local):
                    raise errors.InvalidInput(
                        f"the component '{written}' is a local file that was not read in",
                        where=self._where(name, "component"),
                    )
                try:
                    self._resolved[name] = self._components(written)
                except errors.DoubleloopError as error:
                    raise type(error)(
                        error.what, where=self._where(name, "component"), cure=error.cure, details=error.details
                    ) from None
            else:
                self._resolved[name] = None if isinstance(written, str) else written
        return self._resolved[name]

    @staticmethod
    def _component_name(node: jobs.CommandNode, component: jobs.CommandComponent | None) -> str | None:
        return node.component if isinstance(node.component, str) else component.name if component else None

    def _check_shape(self, name: str, node: jobs.CommandNode) -> None:
        if (node.component is None) == (node.command is None):
            raise errors.InvalidInput(
                f"the step '{name}' needs one of 'command' and 'component'",
                where=self._where(name),
                cure="write the shell command, or the component to run",
            )

    @staticmethod
    def _what_runs(
        node: jobs.CommandNode, component: jobs.CommandComponent | None
    ) -> tuple[str, Mapping[str, Any], Mapping[str, Any]]:
        if component:
            return component.command, component.inputs, component.outputs
        return node.command or "", node.inputs, node.outputs

    def _bindings(
        self, name: str, node: jobs.CommandNode, component: jobs.CommandComponent | None
    ) -> tuple[dict[str, Binding], set[str]]:
        given: dict[str, Binding] = {}
        unset: set[str] = set()
        for key, value in node.inputs.items():
            declared = component.inputs.get(key) if component else None
            if component and declared is None:
                what = f"the component of '{name}' declares its inputs, and the input"
                raise bindings.missing(what, key, list(component.inputs), self._where(name, "inputs", key))
            binding = self._bind(name, key, value, declared)
            if binding is None:
                self._unset(name, key, value, declared, given, unset)
            else:
                given[key] = binding
        for key, declared in (component.inputs if component else {}).items():
            if key not in node.inputs:
                self._unset(name, key, None, declared, given, unset)
        return given, unset

    def _unset(
        self,
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
                where=self._where(name, "inputs", key),
                cure=f"add '{key}: ...' under jobs.{name}.inputs",
            )

    def _bind(self, step: str, key: str, value: Any, declared: values.ComponentInput | None = None) -> Binding | None:
        where = self._where(step, "inputs", key)
        written = value.path if isinstance(value, values.Input) and value.path is not None else value
        mode: str | None = value.mode if isinstance(value, values.Input) else None
        mode = mode or (declared.mode if declared else None)
        if isinstance(written, str) and "${{" in written:
            return self._expression(written, mode, where)
        binding = bindings.own(self.document, f"jobs.{step}.inputs.{key}", value)
        if declared is None or binding is None:
            return binding
        if isinstance(binding, Literal):
            return self._fitted(binding, declared, key, where)
        kind = value.type if isinstance(value, values.Input) and value.type else declared.type
        return replace(binding, type=bindings.type_of(kind), mode=mode)

    def _expression(self, written: str, mode: str | None, where: errors.Where) -> Binding:
        expressions.check(written, where)
        expression = expressions.whole(written, where)
        if expression is None or expression.scope not in ("parent.inputs", "parent.jobs.outputs"):
            found = expressions.references(written, where)
            if not any(item.scope.startswith(("parent", "inputs", "outputs")) for item in found):
                return Literal(written, "string")
            raise errors.InvalidInput(
                f"'{written}' cannot be the value of a step's input",
                where=where,
                cure="write one expression alone: ${{parent.inputs.X}} or ${{parent.jobs.STEP.outputs.X}}",
            )
        if expression.scope == "parent.inputs":
            if expression.name not in self.model.inputs:
                raise bindings.missing("the pipeline input", expression.name, list(self.model.inputs), where)
            return PipelineInput(expression.name, mode)
        if expression.step not in self.model.jobs:
            raise bindings.missing("the step", expression.step, list(self.model.jobs), where)
        known = self._output_names(expression.step)
        if known is not None and expression.name not in known:
            raise bindings.missing(
                f"the step '{expression.step}' has outputs, and the output", expression.name, known, where
            )
        return StepOutput(expression.step, expression.name, mode)

    def _output_names(self, step: str) -> list[str] | None:
        """The outputs of a step; None when its component is not known yet."""
        node, component = self._node(step), self._component(step)
        if node.component is not None and component is None:
            return None
        return list({**(component.outputs if component else {}), **node.outputs})

    def _fitted(
        self, literal: Literal, declared: values.ComponentInput, key: str, where: errors.Where
    ) -> Literal | Asset:
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

    def _outputs(
        self, name: str, node: jobs.CommandNode, component: jobs.CommandComponent | None
    ) -> dict[str, OutputDef]:
        declared = component.outputs if component else {}
        for key in node.outputs:
            if component and key not in declared:
                what = f"the component of '{name}' declares its outputs, and the output"
                raise bindings.missing(what, key, list(declared), self._where(name, "outputs", key))
        keys = list({**declared, **node.outputs})
        return {key: self._step_output(name, key, node.outputs.get(key), declared.get(key)) for key in keys}

    def _step_output(self, step: str, key: str, value: Any, declared: values.ComponentOutput | None) -> OutputDef:
        where = self._where(step, "outputs", key)
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
            if expression.name not in self.model.outputs:
                raise bindings.missing("the pipeline output", expression.name, list(self.model.outputs), where)
            outer = bindings.output(expression.name, self.model.outputs[expression.name])
        kinds = (written_type, declared.type if declared else None, outer.type if outer else None)
        return replace(
            own,
            type=bindings.type_of(next((kind for kind in kinds if kind), None)),
            mode=own.mode or (declared.mode if declared else None) or (outer.mode if outer else None),
            path=outer.path if outer else own.path,
            pipeline_output=outer.name if outer else None,
        )

    def _compute(self, name: str, node: jobs.CommandNode) -> str | None:
        settings = self.model.settings
        written = (
            node.compute or getattr(self.model, "compute", None) or (settings.default_compute if settings else None)
        )
        if written is None:
            return None
        where = self._where(name, "compute")
        expression = expressions.whole(written, where)
        if expression is None:
            return references.compute_name(written)
        if expression.scope != "parent.inputs" or expression.name not in self.model.inputs:
            raise bindings.missing(
                "the pipeline input", expression.name or expression.key, list(self.model.inputs), where
            )
        value = self.model.inputs[expression.name]
        binding = (
            bindings.default(value)
            if isinstance(value, values.ComponentInput)
            else bindings.own(self.document, "inputs", value)
        )
        return references.compute_name(str(binding.value)) if isinstance(binding, Literal) else None
