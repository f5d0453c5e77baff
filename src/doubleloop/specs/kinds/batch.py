"""Batch endpoints and their deployments: of a model, or of a pipeline component."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from doubleloop.specs import support
from doubleloop.specs.fields import Accepted, Flag, Fold, Int, LooseText, Name, Spec, Tags, Text, Variables
from doubleloop.specs.kinds.environment import EnvironmentField
from doubleloop.specs.kinds.graphs import PipelineComponent, PipelineJob
from doubleloop.specs.kinds.jobs import Resources
from doubleloop.specs.kinds.online import AuthMode, CodeConfiguration, Count, ModelField
from doubleloop.specs.kinds.values import JobInput, JobOutput

OutputAction = Annotated[Literal["append_row", "summary_only"], Fold]
LogLevel = Annotated[Literal["debug", "info", "warning", "error", "critical"], Fold]
Threshold = Annotated[Int, Field(ge=-1)]


class BatchDefaults(Spec):
    title: ClassVar[str] = "batch endpoint › defaults"

    deployment_name: Text = Field(description="Deployment that answers when none is named.")


class BatchEndpoint(Spec):
    title: ClassVar[str] = "batch endpoint"

    schema_: Text | None = Field(None, alias="$schema", description="Names the kind of this file.")
    name: Name = Field(description="Name of the endpoint; part of its address.")
    description: LooseText | None = Field(None, description="What it answers.")
    auth_mode: AuthMode | None = Field(None, description="How callers prove who they are.")
    defaults: BatchDefaults | None = Field(None, description="The deployment that answers by default.")
    tags: Tags = Field(default_factory=dict, description="Free labels: text to text.")
    properties: Tags = Field(default_factory=dict, description="Free values kept with it.")
    identity: Accepted | None = Field(None, description="Azure identity of the endpoint.")
    location: Accepted | None = Field(None, description="Azure region.")


class Retry(Spec):
    title: ClassVar[str] = "batch deployment › retry_settings"

    max_retries: Annotated[Int, Field(ge=0)] | None = Field(None, description="Further tries of a failed mini batch.")
    timeout: Count | None = Field(None, description="Seconds that a mini batch may take.")


class BatchSettings(Spec):
    """The newer place of the same settings; a pipeline deployment keeps its pipeline's defaults here."""

    title: ClassVar[str] = "batch deployment › settings"

    mini_batch_size: Count | None = Field(None, description="Files (or rows of a table) per call of run().")
    max_concurrency_per_instance: Count | None = Field(None, description="Processes per machine.")
    instance_count: Count | None = Field(None, description="Machines.")
    output_action: OutputAction | None = Field(None, description="append_row or summary_only.")
    output_file_name: Text | None = Field(None, description="File that rows are appended to.")
    retry_settings: Retry | None = Field(None, description="Further tries.")
    error_threshold: Threshold | None = Field(None, description="Failed files allowed; -1 is any number.")
    logging_level: LogLevel | None = Field(None, description="Level of the log.")
    environment_variables: Variables = Field(default_factory=dict, description="Set for the scoring process.")
    default_compute: Text | None = Field(None, description="Compute of a pipeline's steps.")
    default_datastore: Text | None = Field(None, description="Datastore of a pipeline's outputs.")
    continue_on_step_failure: Accepted | None = Field(None, description="Go on with other steps after one failed.")
    force_rerun: Accepted | None = Field(None, description="Run every step, even unchanged ones.")

    @classmethod
    def lenient(cls, data: dict[str, Any]) -> bool:
        return "default_compute" in data


def _pipeline_shape(value: Any) -> str:
    return "<reference>" if isinstance(value, str) else "<inline>"


class BatchDeployment(Spec):
    title: ClassVar[str] = "batch deployment"

    schema_: Text | None = Field(None, alias="$schema", description="Names the kind of this file.")
    name: Name = Field(description="Name of the deployment within its endpoint.")
    endpoint_name: Name = Field(description="The endpoint it belongs to.")
    type: Annotated[Literal["model", "pipeline"], Fold] | None = Field(None, description="model (default) or pipeline.")
    description: LooseText | None = Field(None, description="What it is.")
    model: ModelField | None = Field(None, description="Model to score with.")
    component: (
        Annotated[
            Annotated[Text, Tag("<reference>")] | Annotated[PipelineComponent, Tag("<inline>")],
            Discriminator(_pipeline_shape),
        ]
        | None
    ) = Field(None, description="Pipeline component to run, as file or reference.")
    job_definition: (
        Annotated[
            Annotated[Text, Tag("<reference>")] | Annotated[PipelineJob, Tag("<inline>")],
            Discriminator(_pipeline_shape),
        ]
        | None
    ) = Field(None, description="Pipeline job to run, as file or reference.")
    code_configuration: CodeConfiguration | None = Field(None, description="Scoring code; MLflow models need none.")
    environment: EnvironmentField | None = Field(None, description="Environment of the scoring code.")
    environment_variables: Variables = Field(default_factory=dict, description="Set for the scoring process.")
    compute: Text | None = Field(None, description="Where it runs.")
    resources: Resources | None = Field(None, description="Machines wanted.")
    settings: BatchSettings | None = Field(None, description="Mini batches, retries, outputs.")
    mini_batch_size: Count | None = Field(None, description="Files (or rows of a table) per call of run().")
    max_concurrency_per_instance: Count | None = Field(None, description="Processes per machine.")
    output_action: OutputAction | None = Field(None, description="append_row or summary_only.")
    output_file_name: Text | None = Field(None, description="File that rows are appended to.")
    retry_settings: Retry | None = Field(None, description="Further tries.")
    error_threshold: Threshold | None = Field(None, description="Failed files allowed; -1 is any number.")
    logging_level: LogLevel | None = Field(None, description="Level of the log.")
    compile: Flag = Field(
        True,
        description="Whether a plan compiled from the model may score in its place where both agree (own field).",
    )
    tags: Tags = Field(default_factory=dict, description="Free labels: text to text.")
    properties: Tags = Field(default_factory=dict, description="Free values kept with it.")


class BatchInvocation(Spec):
    """What one call of a batch endpoint is about: the file and the flags of ``batch-endpoint invoke``.

    The settings here replace those of the deployment for this one call.
    """

    title: ClassVar[str] = "batch invocation"

    schema_: Text | None = Field(None, alias="$schema", description="Names the kind of this file.")
    inputs: dict[str, JobInput] = Field(default_factory=dict, description="Data and values, by name.")
    outputs: dict[str, JobOutput] = Field(default_factory=dict, description="Where outputs go, by name.")
    deployment_name: Name | None = Field(None, description="The deployment; left out, the endpoint's default.")
    experiment_name: Text | None = Field(None, description="Experiment that the run is recorded in.")
    display_name: LooseText | None = Field(None, description="Name that pages show.")
    mini_batch_size: Count | None = Field(None, description="Files per call of run().")
    instance_count: Count | None = Field(None, description="Machines.")
    max_concurrency_per_instance: Count | None = Field(None, description="Processes per machine.")
    output_action: OutputAction | None = Field(None, description="append_row or summary_only.")
    output_file_name: Text | None = Field(None, description="File that rows are appended to.")
    retry_settings: Retry | None = Field(None, description="Further tries.")
    error_threshold: Threshold | None = Field(None, description="Failed files allowed; -1 is any number.")
    logging_level: LogLevel | None = Field(None, description="Level of the log.")
    tags: Tags = Field(default_factory=dict, description="Free labels of the job: text to text.")


SUPPORT: dict[type[Spec], support.Rows] = {
    BatchDefaults: support.rows("deployment_name"),
    BatchEndpoint: support.rows(
        "$schema name description auth_mode defaults tags properties",
        {"identity": support.IDENTITY, "location": support.AZURE},
    ),
    Retry: support.rows("max_retries timeout"),
    BatchSettings: support.rows(
        "mini_batch_size max_concurrency_per_instance output_action output_file_name retry_settings error_threshold "
        "logging_level environment_variables continue_on_step_failure force_rerun",
        {"default_compute default_datastore instance_count": support.HOST},
    ),
    BatchInvocation: support.rows(
        "$schema inputs outputs deployment_name experiment_name display_name mini_batch_size "
        "max_concurrency_per_instance output_action output_file_name retry_settings error_threshold logging_level tags",
        {"instance_count": support.HOST},
    ),
    BatchDeployment: support.rows(
        "$schema name endpoint_name type description model component job_definition code_configuration environment "
        "environment_variables resources settings mini_batch_size max_concurrency_per_instance output_action "
        "output_file_name retry_settings error_threshold logging_level compile tags properties",
        {"compute": support.HOST},
    ),
}
