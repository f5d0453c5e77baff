"""Small settings of jobs and steps: machines, limits, several processes, retries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar

from doubleloop.sdk.entities.assets import Environment
from doubleloop.sdk.entities.model import Entity

if TYPE_CHECKING:
    from doubleloop.sdk.steps.model import Step


@dataclass(kw_only=True, eq=False, repr=False)
class JobResourceConfiguration(Entity):
    """Machines wanted; here ``instance_count`` multiplies the processes of a distribution."""

    instance_count: int | None = None
    max_instance_count: int | None = None
    instance_type: str | None = None
    locations: list[str] | None = None
    properties: dict[str, Any] | None = None
    shm_size: str | None = None
    docker_args: str | list[str] | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class CommandJobLimits(Entity):
    """``timeout``: seconds after which the command is stopped."""

    timeout: int | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class SweepJobLimits(Entity):
    """How many trials (in all, at once), and how long, in seconds."""

    max_total_trials: int | None = None
    max_concurrent_trials: int | None = None
    timeout: int | None = None
    trial_timeout: int | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class PyTorchDistribution(Entity):
    process_count_per_instance: int | None = None
    type: str = "pytorch"


@dataclass(kw_only=True, eq=False, repr=False)
class MpiDistribution(Entity):
    process_count_per_instance: int | None = None
    type: str = "mpi"


@dataclass(kw_only=True, eq=False, repr=False)
class TensorFlowDistribution(Entity):
    worker_count: int | None = None
    parameter_server_count: int | None = None
    type: str = "tensorflow"


@dataclass(kw_only=True, eq=False, repr=False)
class RayDistribution(Entity):
    port: int | None = None
    address: str | None = None
    include_dashboard: bool | None = None
    dashboard_port: int | None = None
    head_node_additional_args: str | None = None
    worker_node_additional_args: str | None = None
    type: str = "ray"


@dataclass(kw_only=True, eq=False, repr=False)
class RetrySettings(Entity):
    """Trying a failed mini-batch again: how often, and the seconds that one may take."""

    max_retries: int | None = None
    timeout: int | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class RunFunction(Entity):
    """The script of a parallel step, with ``run(mini_batch)`` and perhaps ``init()``."""

    _inner: ClassVar[Mapping[str, type[Entity]]] = {"environment": Environment}

    code: str | PathLike[str] | None = None
    entry_script: str | None = None
    program_arguments: str | None = None
    append_row_to: str | None = None
    environment: str | Environment | None = None
    model: str | None = None
    type: str | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class PipelineJobSettings(Entity):
    """Defaults of a pipeline's steps. ``on_init`` and ``on_finalize``: a step, or its name."""

    _kind: ClassVar[str] = ""

    default_compute: str | None = None
    default_datastore: str | None = None
    continue_on_step_failure: bool | None = None
    force_rerun: bool | None = None
    on_init: str | Step | None = None
    on_finalize: str | Step | None = None
