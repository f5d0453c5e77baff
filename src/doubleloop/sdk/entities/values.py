"""Inputs and outputs: of jobs and steps (values, data), and of components (what they want to be given)."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import Any

from doubleloop.sdk.entities.model import Entity

PRIMITIVES = ("string", "number", "integer", "boolean")


@dataclass(kw_only=True, eq=False, repr=False)
class Input(Entity):
    """An input. ``Input(type="uri_file", path="rides.csv")`` is data, ``Input(type="number", default=0.1)`` a declared
    value; without ``path`` it says what is to be given later.

    ``path``: a local file or folder, ``azureml:NAME:VERSION``, ``azureml://datastores/…``, ``azureml://jobs/…``,
    ``https://…``, an asset of a server, or an output of another step. ``type``: ``uri_file``, ``uri_folder``,
    ``mltable``, ``mlflow_model``, ``custom_model``, ``string``, ``number``, ``integer``, ``boolean``.
    """

    type: str | None = None
    path: str | PathLike[str] | Entity | None = None
    mode: str | None = None
    value: str | float | bool | None = None
    default: str | float | bool | None = None
    optional: bool | None = None
    min: float | None = None
    max: float | None = None
    enum: list[Any] | None = None
    description: str | None = None
    datastore: str | None = None
    path_on_compute: str | None = None

    def _declares(self) -> bool:
        """Whether it only says what is to be given."""
        return self.path is None and self.value is None


@dataclass(kw_only=True, eq=False, repr=False)
class Output(Entity):
    """An output. ``name`` (and ``version``) registers what was written as an asset; ``path`` also copies it to a
    datastore. ``type``: ``uri_folder`` (when left out), ``uri_file``, ``mltable``, a model type, or a primitive, whose
    value the command writes into the file ``${{outputs.X}}``."""

    type: str | None = None
    path: str | None = None
    mode: str | None = None
    name: str | None = None
    version: str | None = None
    is_control: bool | None = None
    early_available: bool | None = None
    description: str | None = None
