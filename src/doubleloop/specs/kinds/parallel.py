"""Parallel steps: a script's ``run`` called for every mini-batch of the data."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from doubleloop.specs import fields, support
from doubleloop.specs.fields import Fold, Int, LooseText, Spec, Text, Variables
from doubleloop.specs.kinds import jobs
from doubleloop.specs.kinds.environment import EnvironmentField
from doubleloop.specs.kinds.values import ComponentInput, JobInput, JobOutput, OutputDeclaration

_SIZE = re.compile(r"^\s*[1-9]\d*\s*(?:kb|mb|gb)?\s*$", re.IGNORECASE)


def _size(value: str) -> str:
    if "${{" not in value and not _SIZE.match(value):
        raise ValueError(f"'{value}' is not a size: write a number of files, or 10kb, 5mb for tables")
    return value.strip()


Size = Annotated[Text, AfterValidator(_size)]


class Retry(Spec):
    title: ClassVar[str] = "parallel step › retry_settings"

    max_retries: Annotated[Int, Field(ge=0)] | None = Field(None, description="Times a mini-batch is tried again.")
    timeout: Annotated[Int, Field(ge=1)] | None = Field(None, description="Seconds for one mini-batch.")

    @classmethod
    def lenient(cls, data: dict[str, Any]) -> bool:
        return True


class Task(Spec):
    title: ClassVar[str] = "parallel step › task"

    type: Annotated[Literal["run_function", "function", "model"], Fold] = Field(
        "run_function", description="run_function (also written function)"
    )
    code: Text | None = Field(None, description="Folder of the script.", json_schema_extra=fields.path("code"))
    entry_script: Text | None = Field(None, description="Script with run(mini_batch), and perhaps init().")
    program_arguments: Text | None = Field(None, description="Arguments of the script, with ${{inputs.X}}.")
    model: Text | None = Field(None, description="Model to run without a script.")
    append_row_to: Text | None = Field(None, description="Output that what run returns is appended to.")
    environment: EnvironmentField = Field(description="Reference to an environment, or one written inline.")

    @classmethod
    def lenient(cls, data: dict[str, Any]) -> bool:
        return True


class Batches(Spec):
    """How the data is divided and how failures are judged; shared by steps, components and jobs."""

    mini_batch_size: Size | None = Field(None, description="Files per mini-batch; for a table its size, as in 10kb.")
    partition_keys: list[Text] | None = Field(None, description="Columns of which each value is one mini-batch.")
    input_data: Text | None = Field(None, description="The input that is divided: ${{inputs.X}}.")
    max_concurrency_per_instance: Annotated[Int, Field(ge=1)] | None = Field(None, description="Processes per machine.")
    error_threshold: Annotated[Int, Field(ge=-1)] | None = Field(
        None, description="Items that may fail before the step does; -1: any number."
    )
    mini_batch_error_threshold: Annotated[Int, Field(ge=-1)] | None = Field(
        None, description="Mini-batches that may fail before the step does; -1: any number."
    )
    retry_settings: Retry | None = Field(None, description="Trying a failed mini-batch again.")
    logging_level: Annotated[Literal["debug", "info", "warn", "warning"], Fold] | None = Field(
        None, description="debug, info or warning."
    )
    resources: jobs.Resources | None = Field(None, description="Machines wanted.")
    environment_variables: Variables = Field(default_factory=dict, description="Set for the script.")


class ParallelComponent(jobs.Described, Batches):
    """A reusable parallel step. Unknown fields at its top pass, as they do in Azure ML."""

    title: ClassVar[str] = "parallel component"

    type: Annotated[Literal["parallel"], Fold] = Field("parallel", description="parallel")
    version: Text | None = Field(None, description="Version; left out, the next number is taken.")
    task: Task = Field(description="The script and its environment.")
    inputs: dict[str, ComponentInput] = Field(default_factory=dict, description="Declared inputs.")
    outputs: dict[str, OutputDeclaration] = Field(default_factory=dict, description="Declared outputs.")
    is_deterministic: fields.Flag | None = Field(None, description="false: never reuse an earlier run of the step.")

    @classmethod
    def lenient(cls, data: dict[str, Any]) -> bool:
        return True


ParallelComponentField = Annotated[
    Annotated[Text, Tag("<reference>")] | Annotated[ParallelComponent, Tag("<inline>")],
    Discriminator(jobs.reference_shape),
]


class ParallelJob(jobs.Described, Batches):
    title: ClassVar[str] = "parallel job"

    type: Annotated[Literal["parallel"], Fold] = Field("parallel", description="parallel")
    task: Task = Field(description="The script and its environment.")
    inputs: dict[str, JobInput] = Field(default_factory=dict, description="Named inputs.")
    outputs: dict[str, JobOutput] = Field(default_factory=dict, description="Named outputs.")
    compute: Text | None = Field(None, description="Where it runs.")
    experiment_name: Text | None = Field(None, description="Experiment that the run is recorded in.")


class ParallelNode(jobs.Described, Batches):
    title: ClassVar[str] = "pipeline job › parallel step"

    type: Annotated[Literal["parallel"], Fold] = Field("parallel", description="parallel")
    component: ParallelComponentField | None = Field(
        None, description="Parallel component to run: a file, a reference, or inline."
    )
    task: Task | None = Field(None, description="The script and its environment, of a step without component.")
    inputs: dict[str, JobInput] = Field(default_factory=dict, description="Values and bindings of the inputs.")
    outputs: dict[str, JobOutput] = Field(default_factory=dict, description="Bindings of the outputs.")
    compute: Text | None = Field(None, description="Where it runs.")
    experiment_name: Text | None = Field(None, description="Recorded with the pipeline's experiment instead.")
    identity: fields.Accepted | None = Field(None, description="Azure identity of the step.")
    comment: LooseText | None = Field(None, description="A remark.")

    @classmethod
    def lenient(cls, data: dict[str, Any]) -> bool:
        return "component" in data


_BATCHES = (
    "mini_batch_size partition_keys input_data max_concurrency_per_instance error_threshold "
    "mini_batch_error_threshold retry_settings logging_level resources environment_variables"
)
SUPPORT: dict[type[Spec], support.Rows] = {
    Retry: support.rows("max_retries timeout"),
    Task: support.rows(
        "type code entry_script program_arguments append_row_to environment",
        refused={"model": ("is not served in a parallel step", "load the model in init() of an entry_script")},
    ),
    ParallelComponent: support.rows(f"{jobs.DESCRIBED} {_BATCHES} version task inputs outputs is_deterministic"),
    ParallelJob: support.rows(f"{jobs.DESCRIBED} {_BATCHES} task inputs outputs compute experiment_name"),
    ParallelNode: support.rows(
        f"{jobs.DESCRIBED} {_BATCHES} component task inputs outputs compute comment",
        {"experiment_name": support.PIPELINE_OWNS, "identity": support.IDENTITY},
    ),
}
