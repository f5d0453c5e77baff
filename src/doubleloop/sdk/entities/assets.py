"""Data, models and environments: named, versioned, unchangeable."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, ClassVar

from doubleloop.sdk.entities.model import Entity, Pointer, Sheet


@dataclass(kw_only=True, eq=False, repr=False)
class Asset(Entity):
    """What data, models and environments have in common.

    One that a server gave (``client.data.get("rides")``) can be used wherever a reference is wanted: it stands for
    ``azureml:NAME:VERSION``. ``id``, ``labels``, ``created_by``, ``created_at`` (ISO 8601, UTC) and ``body`` (all that
    the server says) are then set.
    """

    name: str | None = None
    version: str | None = None
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.version is not None and not isinstance(self.version, str):
            self.version = str(self.version)

    @property
    def body(self) -> dict[str, Any]:
        """What the server says of it; empty for one that was made here."""
        found: dict[str, Any] = self.__dict__.get("_body", {})
        return found

    @property
    def id(self) -> str | None:
        """``azureml:NAME:VERSION`` (of a registry ``azureml://registries/…``): how it is named where it is used."""
        return self._refer()

    @property
    def labels(self) -> list[str]:
        return list(self.body.get("labels") or [])

    @property
    def created_by(self) -> str | None:
        return self.body.get("created_by")

    @property
    def created_at(self) -> str | None:
        return self.body.get("created_at")

    @property
    def job(self) -> str | None:
        """The job that made it."""
        return self.body.get("job")

    def _refer(self, sheet: Sheet | None = None) -> str | None:
        found: str | None = self.__dict__.get("_address")
        return found


@dataclass(kw_only=True, eq=False, repr=False)
class Data(Asset):
    """A data asset: ``Data(name="rides", path="rides.csv", type="uri_file")``."""

    _kind: ClassVar[str] = "data"

    path: str | PathLike[str] | None = None
    type: str | None = None
    properties: dict[str, str] = field(default_factory=dict)
    datastore: str | None = None
    auto_delete_setting: Any = None


@dataclass(kw_only=True, eq=False, repr=False)
class Model(Asset):
    """A model: ``Model(name="bikes", path="model", type="mlflow_model")``. ``path`` may be an output of a job
    (``azureml://jobs/NAME/outputs/OUTPUT``) or of an MLflow run (``runs:/ID/PATH``)."""

    _kind: ClassVar[str] = "model"

    path: str | PathLike[str] | None = None
    type: str | None = None
    properties: dict[str, str] = field(default_factory=dict)
    flavors: Any = None
    stage: str | None = None
    datastore: str | None = None
    system_metadata: Any = None
    default_deployment_template: Any = None
    allowed_deployment_templates: Any = None


@dataclass(kw_only=True, eq=False, repr=False)
class BuildContext(Entity):
    """A folder with a Dockerfile (``dockerfile_path`` inside it) in place of an image."""

    path: str | PathLike[str]
    dockerfile_path: str | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class Environment(Asset):
    """What is installed where a command runs: ``Environment(image="ubuntu", conda_file="conda.yml")``.

    ``conda_file`` is a path, or what such a file holds. ``image`` is recorded; the conda file says what is installed.
    """

    _kind: ClassVar[str] = "environment"
    _inner: ClassVar[Mapping[str, type[Entity]]] = {"build": BuildContext}

    image: str | None = None
    conda_file: str | PathLike[str] | Mapping[str, Any] | None = None
    build: BuildContext | None = None
    inference_config: Any = None
    os_type: str | None = None
    datastore: str | None = None
    properties: Any = None
    auto_delete_setting: Any = None

    def _put(self, sheet: Sheet, data: dict[str, Any], at: Pointer, name: str, value: Any) -> None:
        if name == "conda_file" and isinstance(value, (str, PathLike)):
            value = os.path.abspath(os.path.expanduser(value))  # it is carried under the name that it is found by
        super()._put(sheet, data, at, name, value)
