"""One command as several processes."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from doubleloop.specs import support
from doubleloop.specs.fields import Flag, Fold, Int, Spec, Text

Count = Annotated[Int, Field(ge=1, le=1000)]
Port = Annotated[Int, Field(ge=1, le=65535)]


class PyTorch(Spec):
    title: ClassVar[str] = "distribution › pytorch"

    type: Annotated[Literal["pytorch"], Fold] = Field(description="pytorch")
    process_count_per_instance: Count | None = Field(None, description="Processes per machine; 1 when left out.")


class Mpi(Spec):
    title: ClassVar[str] = "distribution › mpi"

    type: Annotated[Literal["mpi"], Fold] = Field(description="mpi")
    process_count_per_instance: Count | None = Field(None, description="Processes per machine; 1 when left out.")


class TensorFlow(Spec):
    title: ClassVar[str] = "distribution › tensorflow"

    type: Annotated[Literal["tensorflow"], Fold] = Field(description="tensorflow")
    worker_count: Count | None = Field(None, description="Workers; as many as machines when left out.")
    parameter_server_count: Annotated[Int, Field(ge=0, le=1000)] | None = Field(
        None, description="Parameter servers beside them."
    )


class Ray(Spec):
    title: ClassVar[str] = "distribution › ray"

    type: Annotated[Literal["ray"], Fold] = Field(description="ray")
    port: Port | None = Field(None, description="Port of the head; a free one when left out.")
    address: Text | None = Field(None, description="A cluster that runs already, in place of one of the job's own.")
    include_dashboard: Flag | None = Field(None, description="Whether the head serves its dashboard.")
    dashboard_port: Port | None = Field(None, description="Port of the dashboard.")
    head_node_additional_args: Text | None = Field(None, description="More options of `ray start` for the head.")
    worker_node_additional_args: Text | None = Field(None, description="More options for the other nodes.")


def _type(value: Any) -> str:
    found = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{str(found or '').strip().lower()}>"


Distribution = Annotated[
    Annotated[PyTorch, Tag("<pytorch>")]
    | Annotated[Mpi, Tag("<mpi>")]
    | Annotated[TensorFlow, Tag("<tensorflow>")]
    | Annotated[Ray, Tag("<ray>")],
    Discriminator(_type),
]


SUPPORT: dict[type[Spec], support.Rows] = {
    PyTorch: support.rows("type process_count_per_instance"),
    Mpi: support.rows("type process_count_per_instance"),
    TensorFlow: support.rows("type worker_count parameter_server_count"),
    Ray: support.rows(
        "type port address include_dashboard dashboard_port head_node_additional_args worker_node_additional_args"
    ),
}
