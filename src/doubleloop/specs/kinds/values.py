"""Inputs and outputs: of jobs (values and bindings) and of components (declarations); personas."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from doubleloop.specs import fields, support
from doubleloop.specs.fields import Flag, Fold, LooseText, Name, Number, Scalar, Spec, Text

# As browsers check it (HTML, "valid e-mail address"): what RFC 5322 allows beside that is in nobody's mailbox.
_MAILBOX = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")

PRIMITIVES = ("string", "number", "integer", "boolean")

ValueType = Annotated[
    Literal[
        "uri_file", "uri_folder", "mltable", "mlflow_model", "custom_model", "triton_model", "path",
        "string", "number", "integer", "boolean",
    ],
    Fold,
]  # fmt: skip
InputMode = Annotated[Literal["download", "ro_mount", "direct", "eval_mount", "eval_download"], Fold]
OutputMode = Annotated[Literal["upload", "rw_mount", "mount", "direct"], Fold]
AnyMode = Annotated[
    Literal["download", "ro_mount", "direct", "eval_mount", "eval_download", "upload", "rw_mount", "mount", "link"],
    Fold,
]


def _slug(value: Any) -> Any:
    return value.strip().lower().replace(" ", "_").replace("-", "_") if isinstance(value, str) else value


Persona = Annotated[
    Literal[
        "data_scientist", "data_analyst", "model_tester", "business_stakeholder", "project_lead", "product_owner",
        "platform_support", "model_end_user", "cicd_process", "workspace_process", "monitoring_process",
        "governance_process",
    ],
    BeforeValidator(_slug),
]  # fmt: skip


def _mailbox(value: str) -> str:
    if not _MAILBOX.fullmatch(value):
        raise ValueError(f"'{value[:80]}' is not a mail address, such as team@example.com")
    return value


Mailbox = Annotated[Text, AfterValidator(_mailbox)]


class Input(Spec):
    """An input of a job: data (``path``) or a value (``value``); with a type alone it is bound later."""

    title: ClassVar[str] = "job › input"

    type: ValueType | None = Field(None, description="uri_file, uri_folder, mltable, a model type, or a primitive.")
    path: Text | None = Field(None, description="The data: any reference.", json_schema_extra=fields.path())
    mode: InputMode | None = Field(None, description="How it reaches the job: download, ro_mount, direct, eval_*.")
    value: Scalar | None = Field(None, description="The value of a primitive input.")
    default: Scalar | None = Field(None, description="The value when none is given.")
    description: LooseText | None = Field(None, description="What it is.")
    optional: Flag | None = Field(None, description="Whether it may stay unset.")
    datastore: Text | None = Field(None, description="Datastore to upload a local path to.")
    path_on_compute: Text | None = Field(None, description="Where Azure mounts it.")

    @classmethod
    def lenient(cls, data: dict[str, Any]) -> bool:
        return "value" in data


def input_shape(value: Any) -> str:
    return "<input>" if isinstance(value, (dict, Spec)) else "<value>"


JobInput = Annotated[Annotated[Scalar, Tag("<value>")] | Annotated[Input, Tag("<input>")], Discriminator(input_shape)]


class Output(Spec):
    """An output of a job or step; ``name`` registers what was written as an asset."""

    title: ClassVar[str] = "job › output"

    type: ValueType | None = Field(
        None, description="uri_folder (default), uri_file, mltable, a model type, or a primitive."
    )
    mode: OutputMode | None = Field(None, description="How it is written: upload, rw_mount, mount, direct.")
    path: Text | None = Field(None, description="Where it goes: a datastore path, or ${{parent.outputs.X}}.")
    name: Name | None = Field(None, description="Register the output as an asset of this name.")
    version: Text | None = Field(None, description="Version of that asset; left out, the next number is taken.")
    is_control: Flag | None = Field(None, description="Whether if_else and do_while may look at its value.")
    description: LooseText | None = Field(None, description="What it is.")


def output_shape(value: Any) -> str:
    if value is None:
        return "<default>"
    return "<binding>" if isinstance(value, str) else "<output>"


JobOutput = Annotated[
    Annotated[None, Tag("<default>")] | Annotated[Text, Tag("<binding>")] | Annotated[Output, Tag("<output>")],
    Discriminator(output_shape),
]


class ComponentInput(Spec):
    """What a component wants to be given."""

    title: ClassVar[str] = "component › input"

    type: ValueType = Field(description="uri_file, uri_folder, mltable, a model type, or a primitive.")
    description: LooseText | None = Field(None, description="What it is.")
    default: Scalar | None = Field(None, description="The value when none is given.")
    optional: Flag = Field(False, description="Whether it may stay unset.")
    min: Number | None = Field(None, description="Smallest value of a number.")
    max: Number | None = Field(None, description="Largest value of a number.")
    enum: list[LooseText] | None = Field(None, description="The only values allowed.")
    mode: AnyMode | None = Field(None, description="How data reaches the command.")


class ComponentOutput(Spec):
    """What a component writes."""

    title: ClassVar[str] = "component › output"

    type: ValueType = Field("uri_folder", description="uri_folder, uri_file, mltable, a model type, or a primitive.")
    description: LooseText | None = Field(None, description="What it is.")
    mode: AnyMode | None = Field(None, description="How it is written.")
    is_control: Flag | None = Field(None, description="Whether if_else and do_while may look at its value.")
    early_available: Flag | None = Field(None, description="Whether others may read it before the step has ended.")

    @classmethod
    def lenient(cls, data: dict[str, Any]) -> bool:
        return str(data.get("type", "")).lower() in PRIMITIVES


def output_declaration_shape(value: Any) -> str:
    return "<default>" if value is None else "<output>"


OutputDeclaration = Annotated[
    Annotated[None, Tag("<default>")] | Annotated[ComponentOutput, Tag("<output>")],
    Discriminator(output_declaration_shape),
]


SUPPORT: dict[type[Spec], support.Rows] = {
    Input: support.rows(
        "type path mode value default description optional",
        {"datastore": support.STORE, "path_on_compute": support.AZURE},
    ),
    Output: support.rows("type mode path name version description is_control"),
    ComponentInput: support.rows("type description default optional min max enum mode"),
    ComponentOutput: support.rows(
        "type description mode is_control",
        {"early_available": "has no effect here: what a step writes is read when it has ended"},
    ),
}
