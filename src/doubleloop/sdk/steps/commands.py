"""Commands: a line of shell in an environment, as a job or as a step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, ClassVar

from doubleloop.sdk.entities import settings
from doubleloop.sdk.entities.assets import Environment
from doubleloop.sdk.entities.model import Entity, Sheet
from doubleloop.sdk.entities.values import Input
from doubleloop.sdk.steps import model, searching
from doubleloop.sdk.steps.components import Component, declared_inputs, declared_outputs
from doubleloop.sdk.steps.model import Inputs, Step

Distribution = (
    settings.PyTorchDistribution | settings.MpiDistribution | settings.TensorFlowDistribution
    | settings.RayDistribution | Mapping[str, Any]
)  # fmt: skip


class Resourced(Step):
    """A step that runs code, may say which machines it wants, and can be written as a component of its own."""

    # What of it a component says, too.
    _COMPONENT: ClassVar[tuple[str, ...]]

    resources: settings.JobResourceConfiguration | None
    is_deterministic: bool | None

    def set_resources(self, **wanted: Any) -> None:
        """``instance_count``, ``instance_type``, ``shm_size``, …"""
        kept = self.resources._fields() if self.resources else {}
        self.resources = settings.JobResourceConfiguration(**{**kept, **wanted})

    @property
    def component(self) -> Component:
        """The step as a component: its inputs are what it declares."""
        sheet = Sheet()
        return Component.made(self._write_component(sheet), sheet.lines, self._default_name())

    def _fields(self) -> dict[str, Any]:
        fields = super()._fields()
        fields.pop("is_deterministic", None)  # a component has it, a job has not: it always runs
        return fields

    def _write_step(self, sheet: Sheet, at: tuple[str, ...]) -> dict[str, Any]:
        if self.is_deterministic is not False:
            return super()._write_step(sheet, at)
        component = self._write_component(sheet, (*at, "component"))
        data: dict[str, Any] = {"type": self._kind.removesuffix("_job"), "component": component}
        self._put_given(sheet, data, at, ("compute", "inputs", "outputs"))
        return data

    def _write_component(self, sheet: Sheet, at: tuple[str, ...] = ()) -> dict[str, Any]:
        data: dict[str, Any] = {"type": self._kind.removesuffix("_job")}
        self._put_given(sheet, data, at, self._COMPONENT)
        declared_inputs(sheet, data, at, self)
        declared_outputs(sheet, data, at, self)
        return data

    def _put_given(self, sheet: Sheet, data: dict[str, Any], at: tuple[str, ...], names: Iterable[str]) -> None:
        for name in names:
            value = getattr(self, name)
            if value is not None:
                self._put(sheet, data, at, name, value)


@dataclass(kw_only=True, eq=False, repr=False)
class Command(Resourced):
    """Made by ``command(...)``. Submit it, call it inside a pipeline, or search with ``sweep``.

    Called with inputs it is a copy with those: ``train(rate=0.1)``.
    """

    _kind: ClassVar[str] = "command_job"
    _inner: ClassVar[Mapping[str, type[Entity]]] = {
        "environment": Environment, "resources": settings.JobResourceConfiguration,
        "limits": settings.CommandJobLimits,
    }  # fmt: skip
    _ONLY_JOB: ClassVar[frozenset[str]] = Step._ONLY_JOB
    _COMPONENT: ClassVar[tuple[str, ...]] = (
        "description", "tags", "display_name", "properties", "command", "code", "environment", "environment_variables",
        "distribution", "resources", "limits", "identity", "services", "queue_settings", "is_deterministic",
    )  # fmt: skip

    type: str = "command"
    command: str
    code: str | PathLike[str] | None = None
    environment: str | Environment | None = None
    environment_variables: dict[str, str] = field(default_factory=dict)
    distribution: Distribution | None = None
    resources: settings.JobResourceConfiguration | None = None
    limits: settings.CommandJobLimits | None = None
    identity: Any = None
    services: Any = None
    queue_settings: Any = None
    parent_job_name: str | None = None
    is_deterministic: bool | None = None

    def __call__(self, **inputs: Any) -> Command:
        """A copy with these inputs; inside a pipeline's function, a step of it. Raises InvalidInput for a name that is
        none of its inputs."""
        return self._called(inputs)

    def set_limits(self, *, timeout: int | None = None) -> None:
        """``timeout`` in seconds."""
        self.limits = settings.CommandJobLimits(timeout=timeout)

    def sweep(
        self, *, primary_metric: str, goal: str, sampling_algorithm: str | searching.SamplingAlgorithm = "random",
        compute: str | None = None, max_concurrent_trials: int | None = None, max_total_trials: int | None = None,
        timeout: int | None = None, trial_timeout: int | None = None,
        early_termination_policy: searching.Policy | None = None,
        search_space: Mapping[str, searching.Distribution] | None = None, identity: Any = None,
        queue_settings: Any = None,
    ) -> searching.Sweep:  # fmt: skip
        """A search for the best values of those inputs that were given as ``Choice``, ``Uniform`` …, or that
        ``search_space`` names. ``goal``: ``minimize`` or ``maximize``; timeouts in seconds."""
        return searching.sweep(
            self, primary_metric, goal, sampling_algorithm, compute or self.compute, search_space, identity,
            queue_settings, early_termination_policy,
            settings.SweepJobLimits(
                max_total_trials=max_total_trials, max_concurrent_trials=max_concurrent_trials, timeout=timeout,
                trial_timeout=trial_timeout,
            ),
        )  # fmt: skip

    # -- being written ------------------------------------------------------------------------------------------------

    def _write(self, sheet: Sheet, at: tuple[str, ...]) -> Any:
        searching.refuse_spaces(self)
        return super()._write(sheet, at)

    def _write_step(self, sheet: Sheet, at: tuple[str, ...]) -> dict[str, Any]:
        searching.refuse_spaces(self)
        return super()._write_step(sheet, at)

    def _write_trial(self, sheet: Sheet, at: tuple[str, ...]) -> dict[str, Any]:
        """What a sweep job says of its trials."""
        data: dict[str, Any] = {}
        said = ("command", "code", "environment", "environment_variables", "distribution", "resources", "limits")
        self._put_given(sheet, data, at, said)
        return data


def command(
    *, command: str, environment: str | Environment, code: str | PathLike[str] | None = None, name: str | None = None,
    inputs: Mapping[str, Input | str | float | bool | Any] | None = None, outputs: Mapping[str, Any] | None = None,
    compute: str | None = None, experiment_name: str | None = None, display_name: str | None = None,
    description: str | None = None, tags: Mapping[str, str] | None = None,
    properties: Mapping[str, str] | None = None, environment_variables: Mapping[str, str] | None = None,
    distribution: Distribution | None = None, instance_count: int | None = None, instance_type: str | None = None,
    locations: list[str] | None = None, docker_args: str | list[str] | None = None, shm_size: str | None = None,
    timeout: int | None = None, is_deterministic: bool | None = None, identity: Any = None, services: Any = None,
    queue_settings: Any = None, parent_job_name: str | None = None,
) -> Command:  # fmt: skip
    """A command as a job, and as a function that makes steps of pipelines.

    ``command``: shell, with ``${{inputs.X}}`` and ``${{outputs.X}}``; it runs under bash in a copy of ``code`` (a
    folder or file, from the current folder). ``inputs``: values, or ``Input(...)`` for data and for what is given
    later. Made inside a pipeline's function it is a step, as when it is called there. ``timeout`` in seconds.
    ``is_deterministic=False``: as a step, never reuse an earlier run.
    """
    machines = {
        "instance_count": instance_count, "instance_type": instance_type, "locations": locations,
        "docker_args": docker_args, "shm_size": shm_size,
    }  # fmt: skip
    wanted = {key: value for key, value in machines.items() if value is not None}
    made = Command(
        command=command, environment=environment, code=code, name=name, inputs=Inputs(inputs),
        outputs=outputs,  # type: ignore[arg-type]
        compute=compute, experiment_name=experiment_name, display_name=display_name, description=description,
        tags=dict(tags or {}), properties=dict(properties or {}),
        environment_variables=dict(environment_variables or {}), distribution=distribution,
        resources=settings.JobResourceConfiguration(**wanted) if wanted else None,  # type: ignore[arg-type]
        limits=settings.CommandJobLimits(timeout=timeout) if timeout is not None else None,
        is_deterministic=is_deterministic, identity=identity, services=services, queue_settings=queue_settings,
        parent_job_name=parent_job_name,
    )  # fmt: skip
    return model.join(made)
