"""Spark: a script that is given to spark-submit, as a job or as a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, ClassVar

from doubleloop.sdk.entities.assets import Environment
from doubleloop.sdk.entities.model import Entity
from doubleloop.sdk.steps import model
from doubleloop.sdk.steps.model import Inputs, Step

# Arguments that stand for a setting of Spark.
_SETTINGS = {
    "driver_cores": "spark.driver.cores", "driver_memory": "spark.driver.memory",
    "executor_cores": "spark.executor.cores", "executor_memory": "spark.executor.memory",
    "executor_instances": "spark.executor.instances",
    "dynamic_allocation_enabled": "spark.dynamicAllocation.enabled",
    "dynamic_allocation_min_executors": "spark.dynamicAllocation.minExecutors",
    "dynamic_allocation_max_executors": "spark.dynamicAllocation.maxExecutors",
}  # fmt: skip


@dataclass(kw_only=True, eq=False, repr=False)
class Spark(Step):
    """Made by ``spark(...)``."""

    _kind: ClassVar[str] = "spark_job"
    _inner: ClassVar[Mapping[str, type[Entity]]] = {"environment": Environment}

    type: str = "spark"
    entry: Mapping[str, str] | None = None
    code: str | PathLike[str] | None = None
    py_files: list[str] | None = None
    jars: list[str] | None = None
    files: list[str] | None = None
    archives: list[str] | None = None
    conf: dict[str, Any] = field(default_factory=dict)
    args: str | None = None
    environment: str | Environment | None = None
    environment_variables: dict[str, str] = field(default_factory=dict)
    resources: Mapping[str, Any] | None = None
    identity: Any = None
    parent_job_name: str | None = None

    def __call__(self, **inputs: Any) -> Spark:
        """A copy with these inputs; inside a pipeline's function, a step of it."""
        return self._called(inputs)


def spark(
    *, entry: Mapping[str, str] | str, code: str | PathLike[str] | None = None,
    inputs: Mapping[str, Any] | None = None, outputs: Mapping[str, Any] | None = None, args: str | None = None,
    name: str | None = None, display_name: str | None = None, description: str | None = None,
    tags: Mapping[str, str] | None = None, experiment_name: str | None = None, compute: str | None = None,
    environment: str | Environment | None = None, environment_variables: Mapping[str, str] | None = None,
    py_files: list[str] | None = None, jars: list[str] | None = None, files: list[str] | None = None,
    archives: list[str] | None = None, conf: Mapping[str, Any] | None = None,
    resources: Mapping[str, Any] | None = None, identity: Any = None, **settings: Any,
) -> Spark:  # fmt: skip
    """A script for spark-submit. ``entry``: ``{"file": "prep.py"}``. ``settings``: ``driver_cores``, ``driver_memory``,
    ``executor_cores``, ``executor_memory``, ``executor_instances``, ``dynamic_allocation_…``; they become ``conf``."""
    unknown = [key for key in settings if key not in _SETTINGS]
    if unknown:
        raise TypeError(f"spark() got an unexpected keyword argument '{unknown[0]}'")
    given = {_SETTINGS[key]: value for key, value in settings.items() if value is not None}
    made = Spark(
        entry={"file": entry} if isinstance(entry, str) else entry, code=code, inputs=Inputs(inputs),
        outputs=outputs,  # type: ignore[arg-type]
        args=args, name=name, display_name=display_name, description=description, tags=dict(tags or {}),
        experiment_name=experiment_name, compute=compute, environment=environment,
        environment_variables=dict(environment_variables or {}), py_files=py_files, jars=jars, files=files,
        archives=archives, conf={**given, **(conf or {})}, resources=resources, identity=identity,
    )  # fmt: skip
    return model.join(made)
