"""Data and models: named, versioned, immutable."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from doubleloop.specs import fields, support
from doubleloop.specs.fields import Accepted, Fold, LooseText, Name, Spec, Tags, Text

DataType = Annotated[Literal["uri_file", "uri_folder", "mltable"], Fold]
ModelType = Annotated[Literal["custom_model", "mlflow_model", "triton_model"], Fold]


class Data(Spec):
    title: ClassVar[str] = "data"

    schema_: Text | None = Field(None, alias="$schema", description="Names the kind of this file.")
    name: Name = Field(description="Name of the asset.")
    version: Text | None = Field(None, description="Version; left out, the next number is taken.")
    type: DataType = Field("uri_folder", description="uri_file, uri_folder or mltable.")
    path: Text = Field(
        description="Where the bytes are: local path, datastore path, job output, or an address.",
        json_schema_extra=fields.path(),
    )
    description: LooseText | None = Field(None, description="What it is.")
    tags: Tags = Field(default_factory=dict, description="Free labels: text to text.")
    properties: Tags = Field(default_factory=dict, description="Free values kept with the asset.")
    datastore: Text | None = Field(None, description="Datastore to upload a local path to.")
    auto_delete_setting: Accepted | None = Field(None, description="When Azure removes the asset.")


class Model(Spec):
    """A model, as an asset of its own or inline in a deployment (then name and version may be left out)."""

    title: ClassVar[str] = "model"

    schema_: Text | None = Field(None, alias="$schema", description="Names the kind of this file.")
    name: Name | None = Field(None, description="Name of the model.")
    version: Text | None = Field(None, description="Version; left out, the next number is taken.")
    type: ModelType | None = Field(None, description="mlflow_model, custom_model (default) or triton_model.")
    path: Text | None = Field(
        None,
        description="File or folder of the model: local path, job output, run artifact, datastore path or address.",
        json_schema_extra=fields.path(),
    )
    description: LooseText | None = Field(None, description="What it is.")
    tags: Tags = Field(default_factory=dict, description="Free labels: text to text.")
    properties: Tags = Field(default_factory=dict, description="Free values kept with the model.")
    flavors: Accepted | None = Field(None, description="MLflow flavours; read from the model's MLmodel file instead.")
    stage: Text | None = Field(None, description="Life-cycle stage as a label.")
    datastore: Text | None = Field(None, description="Datastore to upload a local path to.")
    system_metadata: Accepted | None = Field(None, description="Values that Azure keeps about the model.")
    default_deployment_template: Accepted | None = Field(None, description="Azure deployment template.")
    allowed_deployment_templates: Accepted | None = Field(None, description="Azure deployment templates.")


class ModelAsset(Model):
    name: Name = Field(description="Name of the model.")
    path: Text = Field(
        description="File or folder of the model: local path, job output, run artifact, datastore path or address.",
        json_schema_extra=fields.path(),
    )


SUPPORT: dict[type[Spec], support.Rows] = {
    Data: support.rows(
        "$schema name version type path description tags properties",
        {"datastore": support.STORE, "auto_delete_setting": support.DELETE},
    ),
    Model: support.rows(
        "$schema name version type path description tags properties",
        {
            "flavors": "has no effect: the flavours are read from the model's MLmodel file",
            "stage": support.KEPT,
            "datastore": support.STORE,
            "system_metadata default_deployment_template allowed_deployment_templates": support.AZURE,
        },
    ),
}
