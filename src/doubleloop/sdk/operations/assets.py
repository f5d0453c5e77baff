"""Data, models, environments and components: named, versioned, unchangeable."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from doubleloop.base import errors
from doubleloop.sdk import assets as http
from doubleloop.sdk import routes
from doubleloop.sdk.entities import assets
from doubleloop.sdk.entities.model import Entity
from doubleloop.sdk.operations import model
from doubleloop.sdk.steps.components import Component
from doubleloop.sdk.steps.model import Step
from doubleloop.sdk.steps.pipelines import PipelineFunction

if TYPE_CHECKING:
    from os import PathLike

    import pandas

E = TypeVar("E", bound=Entity)
REGISTRY = "registry"
SHIPPED = "doubleloop"  # the registry of what comes with the server


class AssetOperations(Generic[E]):
    """What ``client.data``, ``client.models``, ``client.environments`` and ``client.components`` have in common."""

    plural = ""
    _cls: type[Entity]

    def __init__(self, place: model.Place) -> None:
        self.place = place

    @property
    def _routes(self) -> http.Assets:
        found: http.Assets = getattr(self.place.routes, self.plural)
        return found

    def create_or_update(self, entity: E, *, label: str | None = None) -> E:
        """Keep a version, with what it points at. The same content again is the version that is there. ``label`` is
        set on it at once. Raises InvalidInput with the line, Conflict for other content under that version."""
        return self._entity(self._routes.create(self.place.ship(entity)[1], label))

    def get(self, name: str, version: str | None = None, label: str | None = None) -> E:
        """One version: by number, by label, or the newest. Raises NotFound."""
        return self._entity(self._routes.show(name, version or f"@{label or 'latest'}"))

    def list(
        self, name: str | None = None, *, include_archived: bool = False, max_results: int | None = None
    ) -> builtins.list[E]:
        """The newest version of each name; with ``name`` all versions of it, newest first."""
        if name is not None:
            found = self._routes.versions(name, max_results)
        else:
            found = self._routes.list(archived=include_archived, limit=max_results)
        return [self._entity(body) for body in found]

    def set_label(self, name: str, version: str, label: str) -> None:
        """Point a label at a version."""
        self._routes.set_label(name, label, version)

    def archive(self, name: str, version: str) -> None:
        """Leave a version out of listings; what uses it goes on."""
        self._routes.archive(name, version)

    def restore(self, name: str, version: str) -> None:
        """Undo ``archive``."""
        self._routes.restore(name, version)

    def _entity(self, body: routes.Body) -> E:
        spec = {key: value for key, value in (body.get("spec") or {}).items() if key not in ("reference", "$schema")}
        told = {key: body.get(key) for key in ("name", "version", "description", "type", "path", "image")}
        known = self._cls._names().values()
        said = {key: value for key, value in told.items() if value and key in known}
        made = self._cls._read({**{k: v for k, v in spec.items() if k in known}, **said}, {})
        made.__dict__["tags"] = dict(body.get("tags") or {})
        made.__dict__.update(_body=body, _address=self._address(body))
        return made  # type: ignore[return-value]

    def _address(self, body: routes.Body) -> str:
        """How the version is named where it is used."""
        if body.get("workspace") in (REGISTRY, SHIPPED):
            return f"azureml://registries/{body['workspace']}/{self.plural}/{body['name']}/versions/{body['version']}"
        return f"azureml:{body['name']}:{body['version']}"

    def _fetch(self, name: str, version: str | None, label: str | None, target: Path | None) -> Path:
        found = self._routes.show(name, version or f"@{label or 'latest'}")
        reference = str(found.get("path") or "")
        if not reference.startswith(("tree:", "blob:")):
            raise errors.NotSupported(
                f"{name} is not stored on the server but at {reference}", cure="Fetch it with that place's own tool."
            )
        if target is None:
            return self.place.laid(reference, name)
        return model.single(self.place.http.blobs.fetch(reference, target, name=name), reference)


class DataOperations(AssetOperations[assets.Data]):
    """``client.data``."""

    plural = "data"
    _cls = assets.Data

    def path(
        self, name: str, version: str | None = None, label: str | None = None,
        target: str | PathLike[str] | None = None,
    ) -> Path:  # fmt: skip
        """The file or folder, fetched into ``target``; without it, into a folder that is gone when the program ends."""
        return self._fetch(name, version, label, None if target is None else Path(target))

    def to_frame(self, name: str, version: str | None = None, label: str | None = None) -> pandas.DataFrame:
        """Its tables as one data frame. Raises as ``JobOutput.to_frame``."""
        from doubleloop.sdk import frames

        return frames.read(self.path(name, version, label))


class ModelOperations(AssetOperations[assets.Model]):
    """``client.models``."""

    plural = "models"
    _cls = assets.Model

    def download(
        self, name: str, version: str | None = None, label: str | None = None,
        download_path: str | PathLike[str] = ".",
    ) -> Path:  # fmt: skip
        """Lay the model in ``download_path/NAME``."""
        return self._fetch(name, version, label, Path(download_path) / name)


class EnvironmentOperations(AssetOperations[assets.Environment]):
    """``client.environments``."""

    plural = "environments"
    _cls = assets.Environment

    def build(self, name: str, version: str | None = None, progress: Callable[[str], object] = print) -> routes.Body:
        """Resolve and build it now (else it is when first needed); ``progress`` gets each line. Its packages.

        Raises the error that the build ended with.
        """
        return self.place.routes.environments.build(name, version or "@latest", lambda line: (progress(line), None)[1])


class ComponentOperations(AssetOperations[Component]):
    """``client.components``: also takes ``command(...)`` and functions that ``@pipeline`` decorates."""

    plural = "components"
    _cls = Component

    def create_or_update(
        self, entity: Component | Step | PipelineFunction[Any], *, label: str | None = None
    ) -> Component:
        found = getattr(entity, "component", entity)
        assert isinstance(found, Component)
        if isinstance(entity, Step) and found.name is None:
            found.name = entity.name
        return super().create_or_update(found, label=label)

    def get(
        self, name: str, version: str | None = None, label: str | None = None, *, catalog: bool = False
    ) -> Component:
        """As for any asset; ``catalog``: one of the training components that are shipped."""
        return self._entity(self.place.routes.components.show(name, version or f"@{label or 'latest'}", catalog))

    def list(
        self, name: str | None = None, *, include_archived: bool = False, max_results: int | None = None,
        catalog: bool = False,
    ) -> builtins.list[Component]:  # fmt: skip
        """As for any asset; ``catalog``: the training components that are shipped."""
        if not catalog:
            return super().list(name, include_archived=include_archived, max_results=max_results)
        found = self.place.routes.components.list(catalog=True, limit=max_results)
        return [self._entity(body) for body in found if name in (None, body["name"])]

    def _entity(self, body: routes.Body) -> Component:
        spec = {key: value for key, value in (body.get("spec") or {}).items() if key != "$schema"}
        named = {"name": body["name"], "version": str(body["version"])}
        made = Component({**spec, **named}, {}, address=self._address(body))
        made.__dict__["_body"] = body
        return made
