"""An environment: what a job or deployment has installed. Inline in jobs, or a versioned asset of its own."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from doubleloop.specs import fields, support
from doubleloop.specs.fields import Accepted, Fold, LooseText, Name, Spec, Tags, Text, TextFile


class BuildContext(Spec):
    title: ClassVar[str] = "environment › build"

    path: Text = Field(
        description="Folder with a Dockerfile and what it copies.", json_schema_extra=fields.path("folder")
    )
    dockerfile_path: Text | None = Field(None, description="The Dockerfile inside that folder (default: Dockerfile).")


class Environment(Spec):
    """``image`` is recorded; ``conda_file`` (or the Dockerfile's conda and pip lines) is what gets installed."""

    title: ClassVar[str] = "environment"

    schema_: Text | None = Field(None, alias="$schema", description="Names the kind of this file.")
    name: Name | None = Field(None, description="Name of the asset; an inline environment needs none.")
    version: Text | None = Field(None, description="Version of the asset; left out, the next number is taken.")
    description: LooseText | None = Field(None, description="What it is for.")
    tags: Tags = Field(default_factory=dict, description="Free labels: text to text.")
    image: Text | None = Field(None, description="Container image it was written for.")
    conda_file: TextFile | None = Field(
        None, description="Conda file (path or inline mapping); its python, pip and conda pins are installed."
    )
    build: BuildContext | None = Field(None, description="Docker build context in place of an image.")
    inference_config: Accepted | None = Field(None, description="Routes and ports of a serving container.")
    os_type: Text | None = Field(None, description="Operating system of the image.")
    datastore: Text | None = Field(None, description="Datastore for the build context.")
    auto_delete_setting: Accepted | None = Field(None, description="When Azure removes the asset.")
    properties: Accepted | None = Field(None, description="Free values kept by Azure ML.")


class EnvironmentAsset(Environment):
    name: Name = Field(description="Name of the asset.")


def _shape(value: Any) -> str:
    return "<reference>" if isinstance(value, str) else "<inline>"


EnvironmentField = Annotated[
    Annotated[Text, Tag("<reference>")] | Annotated[Environment, Tag("<inline>")], Discriminator(_shape)
]
OsType = Annotated[Literal["linux", "windows"], Fold]


SUPPORT: dict[type[Spec], support.Rows] = {
    BuildContext: support.rows("path dockerfile_path"),
    Environment: support.rows(
        "$schema name version description tags conda_file build",
        {
            "image": "is recorded and not run; the conda file says what is installed, else what is known of the image",
            "inference_config": "has no effect here: the serving process brings its own routes",
            "os_type": support.HOST,
            "datastore": support.STORE,
            "auto_delete_setting": support.DELETE,
            "properties": support.KEPT,
        },
    ),
}
