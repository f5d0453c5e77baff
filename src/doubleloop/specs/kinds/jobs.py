"""Jobs: one command, or a pipeline of steps. And what they are made of: components."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from doubleloop.specs import fields, refusals, support
from doubleloop.specs.fields import Accepted, Flag, Fold, Int, LooseText, Spec, Tags, Text, Variables
from doubleloop.specs.kinds.environment import EnvironmentField
from doubleloop.specs.kinds.values import ComponentInput, JobInput, JobOutput, OutputDeclaration


class Limits(Spec):
    title: ClassVar[str] = "job › limits"

    timeout: Annotated[Int, Field(ge=1)] | None = Field(None, description="Seconds after which the job is stopped.")


class Resources(Spec):
    title: ClassVar[str] = "job › resources"

    instance_count: Int | None = Field(None, description="Number of machines.")
    max_instance_count: Int | None = Field(None, description="Largest number of machines (elastic jobs).")
    instance_type: Text | None = Field(None, description="Machine size.")
    locations: Accepted | None = Field(None, description="Azure regions.")
    properties: Accepted | None = Field(None, description="Settings of Azure's scheduler.")
    shm_size: Text | None = Field(None, description="Shared memory of the container.")
    docker_args: Accepted | None = Field(None, description="Arguments of docker run.")


class ComponentResources(Resources):
    @classmethod
    def lenient(cls, data: dict[str, Any]) -> bool:
        return True


class Settings(Spec):
    """Of a pipeline. Unknown fields pass, as they do in Azure ML."""

    title: ClassVar[str] = "pipeline job › settings"

    default_compute: Text | None = Field(None, description="Compute of steps that name none.")
    default_datastore: Text | None = Field(None, description="Datastore of outputs that name none.")
    continue_on_step_failure: Flag | None = Field(None, description="Go on with other steps after one failed.")
    force_rerun: Flag | None = Field(None, description="Run every step, even unchanged ones.")
    on_init: Text | None = Field(None, description="Step that runs before all others.")
    on_finalize: Text | None = Field(None, description="Step that runs after all others.")

    @classmethod
    def lenient(cls, data: dict[str, Any]) -> bool:
        return True


class _Runs(Spec):
    """What everything that runs a command may carry besides its command."""

    environment_variables: Variables = Field(default_factory=dict, description="Set for the command.")
    limits: Limits | None = Field(None, description="Time limit.")
    distribution: Accepted | None = Field(None, description="Several processes: pytorch, mpi, tensorflow, ray.")
    identity: Accepted | None = Field(None, description="Azure identity of the job.")
    services: Accepted | None = Field(None, description="Interactive services beside the job (ssh, TensorBoard).")
    queue_settings: Accepted | None = Field(None, description="Tier and priority in Azure's queue.")


class _Described(Spec):
    schema_: Text | None = Field(None, alias="$schema", description="Names the kind of this file.")
    name: Text | None = Field(None, description="Name; of a job left out as a rule, since it must be new.")
    display_name: LooseText | None = Field(None, description="What people see.")
    description: LooseText | None = Field(None, description="What it does.")
    tags: Tags = Field(default_factory=dict, description="Free labels: text to text.")
    properties: Tags = Field(default_factory=dict, description="Free values kept with it.")


class CommandJob(_Described, _Runs):
    title: ClassVar[str] = "command job"

    type: Annotated[Literal["command"], Fold] = Field("command", description="command")
    command: Text = Field(description="Shell command, with ${{inputs.X}} and ${{outputs.X}}; runs under bash.")
    code: Text | None = Field(
        None, description="Folder (or file) that the command runs in a copy of.", json_schema_extra=fields.path("code")
    )
    environment: EnvironmentField = Field(description="Reference to an environment, or one written inline.")
    inputs: dict[str, JobInput] = Field(default_factory=dict, description="Named inputs.")
    outputs: dict[str, JobOutput] = Field(default_factory=dict, description="Named outputs.")
    compute: Text | None = Field(None, description="Where it runs.")
    experiment_name: Text | None = Field(None, description="Experiment that the run is recorded in.")
    resources: Resources | None = Field(None, description="Machines wanted.")
    parent_job_name: Text | None = Field(None, description="Job that this one is recorded under.")


class CommandComponent(_Described, _Runs):
    """A reusable step. Unknown fields at its top pass, as they do in Azure ML."""

    title: ClassVar[str] = "command component"

    type: Annotated[Literal["command"], Fold] = Field("command", description="command")
    version: Text | None = Field(None, description="Version; left out, the next number is taken.")
    command: Text = Field(description="Shell command, with ${{inputs.X}}, ${{outputs.X}} and $[[ ]] blocks.")
    code: Text | None = Field(
        None, description="Folder (or file) that the command runs in a copy of.", json_schema_extra=fields.path("code")
    )
    environment: EnvironmentField = Field(description="Reference to an environment, or one written inline.")
    inputs: dict[str, ComponentInput] = Field(default_factory=dict, description="Declared inputs.")
    outputs: dict[str, OutputDeclaration] = Field(default_factory=dict, description="Declared outputs.")
    resources: ComponentResources | None = Field(None, description="Machines wanted.")
    is_deterministic: Flag | None = Field(None, description="false: never reuse an earlier run of the step.")
    additional_includes: list[Text] | None = Field(None, description="Further files copied beside the code.")
    auto_delete_setting: Accepted | None = Field(None, description="When Azure removes the asset.")

    @classmethod
    def lenient(cls, data: dict[str, Any]) -> bool:
        return True


def _component_shape(value: Any) -> str:
    return "<reference>" if isinstance(value, str) else "<inline>"


def _served(value: Any) -> Any:
    """Stops at steps and components of a type that is recognised and not served, before their fields are judged."""
    kind = str(value.get("type") or "command").lower() if isinstance(value, dict) else "command"
    if kind in refusals.STEPS:
        what = f"a step of type '{kind}' is not served yet"
        raise PydanticCustomError("not_supported", "not served yet", {"what": what, "cure": refusals.STEPS[kind]})
    return value


ComponentField = Annotated[
    Annotated[Text, Tag("<reference>")] | Annotated[CommandComponent, Tag("<inline>")],
    Discriminator(_component_shape),
    BeforeValidator(_served),
]


class CommandNode(_Described, _Runs):
    """A step of a pipeline: its own command, or a component with the inputs to give it.

    Unknown fields pass beside ``component``, as they do in Azure ML.
    """

    title: ClassVar[str] = "pipeline job › step"

    type: Annotated[Literal["command"], Fold] = Field("command", description="command (the default)")
    component: ComponentField | None = Field(
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
    resources: Resources | None = Field(None, description="Machines wanted.")
    experiment_name: Text | None = Field(None, description="Recorded with the pipeline's experiment instead.")
    parent_job_name: Text | None = Field(None, description="Always the pipeline.")
    comment: LooseText | None = Field(None, description="A remark.")

    @classmethod
    def lenient(cls, data: dict[str, Any]) -> bool:
        return "component" in data


Node = Annotated[CommandNode, BeforeValidator(_served)]


class PipelineJob(_Described):
    title: ClassVar[str] = "pipeline job"

    type: Annotated[Literal["pipeline"], Fold] = Field("pipeline", description="pipeline")
    jobs: dict[str, Node] = Field(default_factory=dict, description="The steps, by name.")
    inputs: dict[str, JobInput] = Field(default_factory=dict, description="Inputs, for ${{parent.inputs.X}}.")
    outputs: dict[str, JobOutput] = Field(default_factory=dict, description="Outputs, for ${{parent.outputs.X}}.")
    settings: Settings | None = Field(None, description="Defaults of the steps.")
    compute: Text | None = Field(None, description="Compute of steps that name none.")
    experiment_name: Text | None = Field(None, description="Experiment that the run is recorded in.")
    component: Text | None = Field(None, description="Registered pipeline component to run.")
    identity: Accepted | None = Field(None, description="Azure identity of the job.")
    services: Accepted | None = Field(None, description="Addresses of the job in Azure's studio.")


class PipelineComponent(_Described):
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


SUPPORT: dict[type[Spec], support.Rows] = {
    Limits: support.rows("timeout"),
    Resources: support.rows(
        "",
        {
            "instance_count max_instance_count": support.HOST,
            "instance_type": support.SIZE,
            "locations": support.AZURE,
            "properties": support.AZURE,
            "shm_size docker_args": "has no effect here: commands run without a container",
        },
    ),
    Settings: support.rows(
        "default_compute default_datastore continue_on_step_failure force_rerun",
        refused={
            "on_init": ("is not served yet", "make it the first step and let the others use one of its outputs"),
            "on_finalize": ("is not served yet", "make it the last step and let it use outputs of the others"),
        },
    ),
    CommandJob: support.rows(
        "$schema type name display_name description tags properties command code environment inputs outputs compute "
        "experiment_name resources environment_variables limits parent_job_name",
        {
            "distribution": support.ONE_PROCESS,
            "identity": support.IDENTITY,
            "services": support.SERVICES,
            "queue_settings": support.QUEUE,
        },
    ),
    CommandComponent: support.rows(
        "$schema type name version display_name description tags properties command code environment inputs outputs "
        "resources environment_variables limits is_deterministic",
        {
            "distribution": support.ONE_PROCESS,
            "identity": support.IDENTITY,
            "services": support.SERVICES,
            "queue_settings": support.QUEUE,
            "auto_delete_setting": support.DELETE,
        },
        {"additional_includes": ("is not served yet", "put these files into the code folder")},
    ),
    CommandNode: support.rows(
        "$schema type name display_name description tags properties component command code environment inputs outputs "
        "compute resources environment_variables limits comment",
        {
            "distribution": support.ONE_PROCESS,
            "identity": support.IDENTITY,
            "services": support.SERVICES,
            "queue_settings": support.QUEUE,
            "experiment_name parent_job_name": support.PIPELINE_OWNS,
        },
    ),
    PipelineJob: support.rows(
        "$schema type name display_name description tags properties jobs inputs outputs settings compute "
        "experiment_name",
        {"identity": support.IDENTITY, "services": support.SERVICES},
        {"component": ("is not served yet", "write the component's jobs, inputs and outputs into this file")},
    ),
    PipelineComponent: support.rows(
        "$schema type name version display_name description tags properties jobs inputs outputs settings "
        "is_deterministic",
        {"auto_delete_setting": support.DELETE},
    ),
}
