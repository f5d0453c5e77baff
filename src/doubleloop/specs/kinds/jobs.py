"""Jobs and components of one command, and what all kinds of jobs have in common."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from doubleloop.specs import fields, support
from doubleloop.specs.fields import Accepted, Flag, Fold, Int, LooseText, Spec, Tags, Text, Variables
from doubleloop.specs.kinds.distribution import Distribution
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


class Runs(Spec):
    """What everything that runs a command may carry besides its command."""

    environment_variables: Variables = Field(default_factory=dict, description="Set for the command.")
    limits: Limits | None = Field(None, description="Time limit.")
    distribution: Distribution | None = Field(None, description="Several processes: pytorch, mpi, tensorflow, ray.")
    identity: Accepted | None = Field(None, description="Azure identity of the job.")
    services: Accepted | None = Field(None, description="Interactive services beside the job (ssh, TensorBoard).")
    queue_settings: Accepted | None = Field(None, description="Tier and priority in Azure's queue.")


class Described(Spec):
    schema_: Text | None = Field(None, alias="$schema", description="Names the kind of this file.")
    name: Text | None = Field(None, description="Name; of a job left out as a rule, since it must be new.")
    display_name: LooseText | None = Field(None, description="What people see.")
    description: LooseText | None = Field(None, description="What it does.")
    tags: Tags = Field(default_factory=dict, description="Free labels: text to text.")
    properties: Tags = Field(default_factory=dict, description="Free values kept with it.")


class CommandJob(Described, Runs):
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


class CommandComponent(Described, Runs):
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
    additional_includes: list[Text] | None = Field(
        None, description="Further files and folders, copied beside the code; x.zip is the folder x, packed."
    )
    auto_delete_setting: Accepted | None = Field(None, description="When Azure removes the asset.")

    @classmethod
    def lenient(cls, data: dict[str, Any]) -> bool:
        return True


def reference_shape(value: Any) -> str:
    return "<reference>" if isinstance(value, str) else "<inline>"


CommandComponentField = Annotated[
    Annotated[Text, Tag("<reference>")] | Annotated[CommandComponent, Tag("<inline>")], Discriminator(reference_shape)
]

RUNS = "environment_variables limits distribution"
NOT_OF_THIS_MACHINE = {
    "identity": support.IDENTITY,
    "services": support.SERVICES,
    "queue_settings": support.QUEUE,
}
DESCRIBED = "$schema type name display_name description tags properties"

SUPPORT: dict[type[Spec], support.Rows] = {
    Limits: support.rows("timeout"),
    Resources: support.rows(
        "instance_count",
        {
            "max_instance_count": support.HOST,
            "instance_type": support.SIZE,
            "locations": support.AZURE,
            "properties": support.AZURE,
            "shm_size docker_args": "has no effect here: commands run without a container",
        },
    ),
    CommandJob: support.rows(
        f"{DESCRIBED} command code environment inputs outputs compute experiment_name resources parent_job_name {RUNS}",
        NOT_OF_THIS_MACHINE,
    ),
    CommandComponent: support.rows(
        f"{DESCRIBED} version command code additional_includes environment inputs outputs resources is_deterministic "
        f"{RUNS}",
        {**NOT_OF_THIS_MACHINE, "auto_delete_setting": support.DELETE},
    ),
}
