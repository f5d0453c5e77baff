"""Spark jobs: a script that is given to spark-submit."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from doubleloop.specs import fields, support
from doubleloop.specs.fields import Fold, LooseText, Scalar, Spec, Text, Variables
from doubleloop.specs.kinds import jobs
from doubleloop.specs.kinds.environment import EnvironmentField
from doubleloop.specs.kinds.values import ComponentInput, JobInput, JobOutput, OutputDeclaration


class Entry(Spec):
    title: ClassVar[str] = "spark › entry"

    file: Text | None = Field(None, description="Python script, from the folder of the code.")
    class_name: Text | None = Field(None, description="Class with the main method, in one of the jars.")

    @model_validator(mode="after")
    def _one(self) -> Entry:
        if (self.file is None) == (self.class_name is None):
            raise ValueError("give one of file and class_name")
        return self


class SparkResources(Spec):
    title: ClassVar[str] = "spark › resources"

    instance_type: Text | None = Field(None, description="Machine size.")
    runtime_version: Text | None = Field(None, description="Version of Spark, which chooses the default environment.")

    @classmethod
    def lenient(cls, data: dict[str, Any]) -> bool:
        return True


class Sparks(Spec):
    """What Spark jobs, steps and components share."""

    code: Text | None = Field(
        None, description="Folder (or file) that it runs in a copy of.", json_schema_extra=fields.path("code")
    )
    entry: Entry | None = Field(None, description="The script to run.")
    py_files: list[Text] | None = Field(None, description="Python files and archives on the path, from the code.")
    jars: list[Text] | None = Field(None, description="Jars on the class path, from the code.")
    files: list[Text] | None = Field(None, description="Files beside each executor, from the code.")
    archives: list[Text] | None = Field(None, description="Archives unpacked beside each executor, from the code.")
    conf: dict[str, Scalar] = Field(default_factory=dict, description="Spark settings (spark.…).")
    args: Text | None = Field(None, description="Arguments of the script, with ${{inputs.X}} and ${{outputs.X}}.")
    environment: EnvironmentField | None = Field(None, description="Environment with pyspark; one is chosen else.")
    environment_variables: Variables = Field(default_factory=dict, description="Set for the script.")
    resources: SparkResources | None = Field(None, description="Machines wanted.")
    compute: Text | None = Field(None, description="Where it runs.")
    identity: fields.Accepted | None = Field(None, description="Azure identity of the job.")


class SparkJob(jobs.Described, Sparks):
    title: ClassVar[str] = "spark job"

    type: Annotated[Literal["spark"], Fold] = Field("spark", description="spark")
    inputs: dict[str, JobInput] = Field(default_factory=dict, description="Named inputs.")
    outputs: dict[str, JobOutput] = Field(default_factory=dict, description="Named outputs.")
    experiment_name: Text | None = Field(None, description="Experiment that the run is recorded in.")
    parent_job_name: Text | None = Field(None, description="Job that this one is recorded under.")


class SparkComponent(jobs.Described, Sparks):
    """A reusable Spark step. Unknown fields at its top pass, as they do in Azure ML."""

    title: ClassVar[str] = "spark component"

    type: Annotated[Literal["spark"], Fold] = Field("spark", description="spark")
    version: Text | None = Field(None, description="Version; left out, the next number is taken.")
    inputs: dict[str, ComponentInput] = Field(default_factory=dict, description="Declared inputs.")
    outputs: dict[str, OutputDeclaration] = Field(default_factory=dict, description="Declared outputs.")
    is_deterministic: fields.Flag | None = Field(None, description="false: never reuse an earlier run of the step.")

    @classmethod
    def lenient(cls, data: dict[str, Any]) -> bool:
        return True


SparkComponentField = Annotated[
    Annotated[Text, Tag("<reference>")] | Annotated[SparkComponent, Tag("<inline>")],
    Discriminator(jobs.reference_shape),
]


class SparkNode(jobs.Described, Sparks):
    title: ClassVar[str] = "pipeline job › spark step"

    type: Annotated[Literal["spark"], Fold] = Field("spark", description="spark")
    component: SparkComponentField | None = Field(None, description="Spark component: a file, a reference, or inline.")
    inputs: dict[str, JobInput] = Field(default_factory=dict, description="Values and bindings of the inputs.")
    outputs: dict[str, JobOutput] = Field(default_factory=dict, description="Bindings of the outputs.")
    experiment_name: Text | None = Field(None, description="Recorded with the pipeline's experiment instead.")
    comment: LooseText | None = Field(None, description="A remark.")

    @classmethod
    def lenient(cls, data: dict[str, Any]) -> bool:
        return "component" in data


SUPPORT: dict[type[Spec], support.Rows] = {
    Entry: support.rows("file class_name"),
    SparkResources: support.rows("runtime_version", {"instance_type": support.SIZE}),
    Sparks: support.rows(
        "code entry py_files jars files archives conf args environment environment_variables resources compute",
        {"identity": support.IDENTITY},
    ),
    SparkJob: support.rows("$schema type name display_name description tags properties inputs outputs experiment_name",
                           {"parent_job_name": support.KEPT}),
    SparkComponent: support.rows(
        "$schema type name display_name description tags properties version inputs outputs is_deterministic"
    ),
    SparkNode: support.rows(
        "$schema type name display_name description tags properties component inputs outputs comment",
        {"experiment_name": support.PIPELINE_OWNS},
    ),
}  # fmt: skip
