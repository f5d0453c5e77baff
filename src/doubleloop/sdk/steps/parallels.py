"""Parallel steps: a script's ``run`` called for every mini-batch of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from doubleloop.sdk.entities.model import Entity
from doubleloop.sdk.entities.settings import JobResourceConfiguration, RetrySettings, RunFunction
from doubleloop.sdk.steps import model
from doubleloop.sdk.steps.commands import Resourced
from doubleloop.sdk.steps.model import Inputs


@dataclass(kw_only=True, eq=False, repr=False)
class Parallel(Resourced):
    """Made by ``parallel_run_function(...)``."""

    _kind: ClassVar[str] = "parallel_job"
    _inner: ClassVar[Mapping[str, type[Entity]]] = {
        "task": RunFunction, "retry_settings": RetrySettings, "resources": JobResourceConfiguration,
    }  # fmt: skip

    _COMPONENT: ClassVar[tuple[str, ...]] = (
        "description", "tags", "display_name", "properties", "task", "mini_batch_size", "partition_keys", "input_data",
        "max_concurrency_per_instance", "error_threshold", "mini_batch_error_threshold", "retry_settings",
        "logging_level", "resources", "environment_variables", "is_deterministic",
    )  # fmt: skip

    type: str = "parallel"
    task: RunFunction
    mini_batch_size: str | int | None = None
    partition_keys: list[str] | None = None
    input_data: str | None = None
    max_concurrency_per_instance: int | None = None
    error_threshold: int | None = None
    mini_batch_error_threshold: int | None = None
    retry_settings: RetrySettings | Mapping[str, Any] | None = None
    logging_level: str | None = None
    resources: JobResourceConfiguration | None = None
    environment_variables: dict[str, str] = field(default_factory=dict)
    is_deterministic: bool | None = None

    def __call__(self, **inputs: Any) -> Parallel:
        """A copy with these inputs; inside a pipeline's function, a step of it."""
        return self._called(inputs)


def parallel_run_function(
    *, task: RunFunction, input_data: str, inputs: Mapping[str, Any] | None = None,
    outputs: Mapping[str, Any] | None = None, name: str | None = None, display_name: str | None = None,
    description: str | None = None, tags: Mapping[str, str] | None = None,
    properties: Mapping[str, str] | None = None, experiment_name: str | None = None, compute: str | None = None,
    mini_batch_size: str | int | None = None, partition_keys: list[str] | None = None,
    max_concurrency_per_instance: int | None = None, error_threshold: int | None = None,
    mini_batch_error_threshold: int | None = None,
    retry_settings: RetrySettings | Mapping[str, Any] | None = None, logging_level: str | None = None,
    environment_variables: Mapping[str, str] | None = None, instance_count: int | None = None,
    instance_type: str | None = None, is_deterministic: bool | None = None,
) -> Parallel:  # fmt: skip
    """A script over mini-batches, as a function that makes steps of pipelines.

    ``input_data``: the input that is divided, ``${{inputs.X}}``. ``mini_batch_size``: files each, or for a table its
    size, as in ``10kb``. Thresholds: how many may fail; -1 is any number.
    """
    machines = {"instance_count": instance_count, "instance_type": instance_type}
    wanted = {key: value for key, value in machines.items() if value is not None}
    made = Parallel(
        task=task, input_data=input_data, inputs=Inputs(inputs),
        outputs=outputs,  # type: ignore[arg-type]
        name=name, display_name=display_name, description=description, tags=dict(tags or {}),
        properties=dict(properties or {}), experiment_name=experiment_name, compute=compute,
        mini_batch_size=mini_batch_size, partition_keys=partition_keys,
        max_concurrency_per_instance=max_concurrency_per_instance, error_threshold=error_threshold,
        mini_batch_error_threshold=mini_batch_error_threshold, retry_settings=retry_settings,
        logging_level=logging_level, environment_variables=dict(environment_variables or {}),
        resources=JobResourceConfiguration(**wanted) if wanted else None,  # type: ignore[arg-type]
        is_deterministic=is_deterministic,
    )  # fmt: skip
    return model.join(made)
