"""Pipelines and their steps: commands, components, pipelines within pipelines, searches, loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from doubleloop.specs import fields, refusals, support
from doubleloop.specs.fields import Accepted, Flag, Fold, LooseText, Spec, Text
from doubleloop.specs.kinds import automl, control, jobs, parallel, spark, sweeps
from doubleloop.specs.kinds.environment import EnvironmentField
from doubleloop.specs.kinds.values import ComponentInput, JobInput, JobOutput, OutputDeclaration


class Settings(Spec):
    """Of a pipeline. Unknown fields pass, as they do in Azure ML."""

    title: ClassVar[str] = "pipeline job › settings"

    default_compute: Text | None = Field(None, description="Compute of steps that name none.")
    default_datastore: Text | None = Field(None, description="Datastore of outputs that name none.")
    continue_on_step_failure: Flag | None = Field(None, description="Go on with other steps after one failed.")
    force_rerun: Flag | None = Field(None, description="Run every step, even unchanged ones.")
    on_init: Text | None = Field(None, description="Step that runs before all others.")
    on_finalize: Text | None = Field(None, description="Step that runs after all others, however they ended.")

    @classmethod
    def lenient(cls, data: dict[str, Any]) -> bool:
        return True


def _served(value: Any) -> Any:
    """Stops at steps and components of a type that is recognised and not served, before their fields are judged."""
    kind = _type(value)
    if kind in refusals.STEPS:
        what = f"a step of type '{kind}' is not served yet"
        raise PydanticCustomError("not_supported", "not served yet", {"what": what, "cure": refusals.STEPS[kind]})
    return value


def _type(value: Any, default: str = "command") -> str:
    """The type of a step or component; a step that has none is of its component's type."""
    if not isinstance(value, dict):
        return str(getattr(value, "type", default))
    written = str(value.get("type") or "").strip().lower()
    if written:
        return written
    inner = value.get("component")
    if "jobs" in value or (isinstance(inner, dict) and "jobs" in inner):
        return "pipeline"
    return _type(inner, default) if isinstance(inner, (dict, Spec)) else default


def _by_type(value: Any) -> str:
    return f"<{_type(value)}>"


class CommandNode(jobs.Described, jobs.Runs):
    """A step of a pipeline: its own command, or a component with the inputs to give it.

    Unknown fields pass beside ``component``, as they do in Azure ML.
    """

    title: ClassVar[str] = "pipeline job › step"

    type: Annotated[Literal["command"], Fold] = Field("command", description="command (the default)")
    component: Annotated[jobs.CommandComponentField, BeforeValidator(_served)] | None = Field(
        None, description="Component to run: a file, azureml:name:version, a registry path, or inline."
    )
    command: Text | None = Field(None, description="Shell command of an inline step.")
    code: Text | None = Field(
        None, description="Folder (or file) that the command runs in a copy of.", json_schema_extra=fields.path("code")
    )
    environment: EnvironmentField | None = Field(None, description="Environment; overrides the component's.")
    inputs: dict[str, JobInput] = Field(default_factory=dict, description="Values and bindings of the inputs.")
    outputs: dict[str, JobOutput] = Field(default_factory=dict, description="Bindings of the outputs.")
    compute: Text | None = Field(None, description="Where it runs; may be ${{parent.inputs.X}}.")
    resources: jobs.Resources | None = Field(None, description="Machines wanted.")
    experiment_name: Text | None = Field(None, description="Recorded with the pipeline's experiment instead.")
    parent_job_name: Text | None = Field(None, description="Always the pipeline.")
    comment: LooseText | None = Field(None, description="A remark.")

    @classmethod
    def lenient(cls, data: dict[str, Any]) -> bool:
        return "component" in data


PipelineComponentField = Annotated[
    Annotated[Text, Tag("<reference>")] | Annotated["PipelineComponent", Tag("<inline>")],
    Discriminator(jobs.reference_shape),
]


class PipelineNode(jobs.Described):
    """A pipeline as a step: a component, or its steps written here. Unknown fields pass beside ``component``."""

    title: ClassVar[str] = "pipeline job › pipeline step"

    type: Annotated[Literal["pipeline"], Fold] = Field("pipeline", description="pipeline")
    component: PipelineComponentField | None = Field(
        None, description="Pipeline component to run: a file, azureml:name:version, a registry path, or inline."
    )
    jobs: dict[str, Node] | None = Field(None, description="The steps, by name, of a pipeline written inline.")
    inputs: dict[str, JobInput] = Field(default_factory=dict, description="Values and bindings of the inputs.")
    outputs: dict[str, JobOutput] = Field(default_factory=dict, description="Bindings of the outputs.")
    settings: Settings | None = Field(None, description="Settings of the inner pipeline.")
    compute: Text | None = Field(None, description="Compute of inner steps that name none.")
    experiment_name: Text | None = Field(None, description="Recorded with the pipeline's experiment instead.")
    comment: LooseText | None = Field(None, description="A remark.")

    @classmethod
    def lenient(cls, data: dict[str, Any]) -> bool:
        return "component" in data


Node = Annotated[
    Annotated[CommandNode, Tag("<command>")]
    | Annotated[PipelineNode, Tag("<pipeline>")]
    | Annotated[sweeps.SweepNode, Tag("<sweep>")]
    | Annotated[parallel.ParallelNode, Tag("<parallel>")]
    | Annotated[spark.SparkNode, Tag("<spark>")]
    | Annotated[automl.AutomlNode, Tag("<automl>")]
    | Annotated[control.IfElse, Tag("<if_else>")]
    | Annotated[control.DoWhile, Tag("<do_while>")]
    | Annotated[control.ParallelFor, Tag("<parallel_for>")],
    Discriminator(_by_type),
    BeforeValidator(_served),
]


class PipelineJob(jobs.Described):
    title: ClassVar[str] = "pipeline job"

    type: Annotated[Literal["pipeline"], Fold] = Field("pipeline", description="pipeline")
    jobs: dict[str, Node] = Field(default_factory=dict, description="The steps, by name.")
    inputs: dict[str, JobInput] = Field(default_factory=dict, description="Inputs, for ${{parent.inputs.X}}.")
    outputs: dict[str, JobOutput] = Field(default_factory=dict, description="Outputs, for ${{parent.outputs.X}}.")
    settings: Settings | None = Field(None, description="Defaults of the steps.")
    compute: Text | None = Field(None, description="Compute of steps that name none.")
    experiment_name: Text | None = Field(None, description="Experiment that the run is recorded in.")
    component: PipelineComponentField | None = Field(None, description="Pipeline component to run, in place of 'jobs'.")
    identity: Accepted | None = Field(None, description="Azure identity of the job.")
    services: Accepted | None = Field(None, description="Addresses of the job in Azure's studio.")


class PipelineComponent(jobs.Described):
    """A reusable pipeline. Unknown fields at its top pass, as they do in Azure ML."""

    title: ClassVar[str] = "pipeline component"

    type: Annotated[Literal["pipeline"], Fold] = Field("pipeline", description="pipeline")
    version: Text | None = Field(None, description="Version; left out, the next number is taken.")
    jobs: dict[str, Node] = Field(description="The steps, by name.")
    inputs: dict[str, ComponentInput] = Field(default_factory=dict, description="Declared inputs.")
    outputs: dict[str, OutputDeclaration] = Field(default_factory=dict, description="Declared outputs.")
    settings: Settings | None = Field(None, description="Defaults of the steps.")
    is_deterministic: Flag | None = Field(None, description="false: never reuse an earlier run.")
    auto_delete_setting: Accepted | None = Field(None, description="When Azure removes the asset.")

    @classmethod
    def lenient(cls, data: dict[str, Any]) -> bool:
        return True


Component = jobs.CommandComponent | PipelineComponent | parallel.ParallelComponent | spark.SparkComponent
# Gives the component that a reference such as ``azureml:train:1`` names. Raises NotFound.
Components = Callable[[str], Component]

SUPPORT: dict[type[Spec], support.Rows] = {
    Settings: support.rows(
        "default_compute default_datastore continue_on_step_failure force_rerun on_init on_finalize"
    ),
    CommandNode: support.rows(
        f"{jobs.DESCRIBED} component command code environment inputs outputs compute resources comment {jobs.RUNS}",
        {**jobs.NOT_OF_THIS_MACHINE, "experiment_name parent_job_name": support.PIPELINE_OWNS},
    ),
    PipelineNode: support.rows(
        f"{jobs.DESCRIBED} component jobs inputs outputs settings compute comment",
        {"experiment_name": support.PIPELINE_OWNS},
    ),
    PipelineJob: support.rows(
        f"{jobs.DESCRIBED} jobs component inputs outputs settings compute experiment_name",
        {"identity": support.IDENTITY, "services": support.SERVICES},
    ),
    PipelineComponent: support.rows(
        f"{jobs.DESCRIBED} version jobs inputs outputs settings is_deterministic",
        {"auto_delete_setting": support.DELETE},
    ),
}
