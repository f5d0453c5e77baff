"""Speaking with a server: where it is, its routes as methods, what must be uploaded first, following what runs.

For programs: ``from doubleloop.sdk import MLClient, command, pipeline, Input, Output, load_component``. Names are found
when they are first asked for, so that importing this costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from doubleloop.base import errors as errors
    from doubleloop.sdk import automl as automl
    from doubleloop.sdk import dsl as dsl
    from doubleloop.sdk.constants import AssetTypes as AssetTypes
    from doubleloop.sdk.constants import InputOutputModes as InputOutputModes
    from doubleloop.sdk.entities.assets import Data as Data
    from doubleloop.sdk.entities.assets import Environment as Environment
    from doubleloop.sdk.entities.assets import Model as Model
    from doubleloop.sdk.entities.settings import MpiDistribution as MpiDistribution
    from doubleloop.sdk.entities.settings import PyTorchDistribution as PyTorchDistribution
    from doubleloop.sdk.entities.settings import RayDistribution as RayDistribution
    from doubleloop.sdk.entities.settings import TensorFlowDistribution as TensorFlowDistribution
    from doubleloop.sdk.entities.values import Input as Input
    from doubleloop.sdk.entities.values import Output as Output
    from doubleloop.sdk.loading import load as load
    from doubleloop.sdk.loading import load_batch_deployment as load_batch_deployment
    from doubleloop.sdk.loading import load_batch_endpoint as load_batch_endpoint
    from doubleloop.sdk.loading import load_component as load_component
    from doubleloop.sdk.loading import load_data as load_data
    from doubleloop.sdk.loading import load_datastore as load_datastore
    from doubleloop.sdk.loading import load_environment as load_environment
    from doubleloop.sdk.loading import load_job as load_job
    from doubleloop.sdk.loading import load_model as load_model
    from doubleloop.sdk.loading import load_online_deployment as load_online_deployment
    from doubleloop.sdk.loading import load_online_endpoint as load_online_endpoint
    from doubleloop.sdk.loading import load_schedule as load_schedule
    from doubleloop.sdk.operations.mlclient import MLClient as MLClient
    from doubleloop.sdk.steps.commands import command as command
    from doubleloop.sdk.steps.pipelines import pipeline as pipeline
    from doubleloop.sdk.steps.sparks import spark as spark

_ROOM = "doubleloop.sdk"
# Each name and where it is; a module when the name is its last part.
_PLACES = {
    "errors": "doubleloop.base.errors",
    "automl": f"{_ROOM}.automl",
    "dsl": f"{_ROOM}.dsl",
    "MLClient": f"{_ROOM}.operations.mlclient",
    "command": f"{_ROOM}.steps.commands",
    "pipeline": f"{_ROOM}.steps.pipelines",
    "spark": f"{_ROOM}.steps.sparks",
    **dict.fromkeys(("AssetTypes", "InputOutputModes"), f"{_ROOM}.constants"),
    **dict.fromkeys(("Data", "Environment", "Model"), f"{_ROOM}.entities.assets"),
    **dict.fromkeys(("Input", "Output"), f"{_ROOM}.entities.values"),
    **dict.fromkeys(
        ("MpiDistribution", "PyTorchDistribution", "RayDistribution", "TensorFlowDistribution"),
        f"{_ROOM}.entities.settings",
    ),
    **dict.fromkeys(
        (
            "load", "load_batch_deployment", "load_batch_endpoint", "load_component", "load_data", "load_datastore",
            "load_environment", "load_job", "load_model", "load_online_deployment", "load_online_endpoint",
            "load_schedule",
        ), f"{_ROOM}.loading",
    ),
}  # fmt: skip


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(place)
    found = module if place.endswith(f".{name}") else getattr(module, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
