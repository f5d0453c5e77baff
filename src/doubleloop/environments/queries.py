"""From a reference or an inline environment to its pins; from a digest to its lock."""

from __future__ import annotations

import errno
import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doubleloop.base import errors
from doubleloop.catalog import model as catalog
from doubleloop.catalog import queries as assets
from doubleloop.db.context import Ctx
from doubleloop.environments import conda, curated, dockerfile, kits, model, store
from doubleloop.environments.sources import EnvironmentSource
from doubleloop.identity import commands as identity
from doubleloop.identity import things
from doubleloop.identity.actions import Action
from doubleloop.settings.model import Settings
from doubleloop.specs import references
from doubleloop.storage import ports as storage


def resolve(ctx: Ctx, environment: str | Mapping[str, Any]) -> EnvironmentSource:
    """``azureml:name:1``, ``name@latest``, a curated name, or an inline mapping (image, conda_file).

    Raises NotFound, NotSupported, InvalidInput (with file and line of the conda file).
    """
    identity.permit(ctx, Action.ENVIRONMENT_READ)
    if not isinstance(environment, str):
        return inline(ctx, environment)
    try:
        asset = assets.resolve(ctx, "environment", environment)
    except (errors.NotFound, errors.InvalidInput):
        spec = curated.find(environment)
        if spec is None:
            if environment.startswith(curated.REGISTRIES):
                raise errors.NotFound(
                    f"There is no curated environment '{environment}'",
                    cure=f"There are: {', '.join(curated.names())}. Or write the pins as a conda_file.",
                ) from None
            raise
        return EnvironmentSource(spec, image=environment)
    source = inline(ctx, asset.spec)
    return EnvironmentSource(source.spec, source.image, asset.id)


def curated_pins(name: str) -> tuple[str, tuple[str, ...]]:
    """Python and requirements (pip syntax) of an environment that is shipped."""
    entry = curated.CATALOGUE[name]
    return entry.python, entry.requirements


def inline(ctx: Ctx, body: Mapping[str, Any]) -> EnvironmentSource:
    """An environment as its file says: ``conda_file`` decides, else the Dockerfile, else what the image is known to
    hold."""
    image = str(body.get("image") or "")
    conda_file = body.get("conda_file")
    if isinstance(conda_file, Mapping):
        read = conda.carried(conda_file.get("files") or {})
        return EnvironmentSource(conda.parse(conda_file["text"], conda_file["$file"], read), image)
    if body.get("build"):
        return EnvironmentSource(_built(ctx, dict(body["build"])), image)
    if image:
        return EnvironmentSource(curated.from_image(image), image)
    raise errors.InvalidInput("The environment has neither image nor conda_file", cure="Add a conda_file.")


def _built(ctx: Ctx, build: dict[str, Any]) -> model.CondaSpec:
    """What the Dockerfile of an uploaded folder installs."""
    folder = references.parse(str(build["path"]))
    name = str(build.get("dockerfile_path") or "Dockerfile")
    if not isinstance(folder, references.Tree):
        raise errors.NotSupported(
            f"The folder '{build['path']}' of a build cannot be read from here",
            cure="Give a local folder; it is uploaded.",
        )
    blobs = ctx.port(storage.Blobs)
    inside = f"{folder.subpath}/" if folder.subpath else ""
    files = {entry.path: entry.sha256 for entry in blobs.tree(folder.digest).entries}

    def read(path: str) -> str:
        place = posixpath.normpath(inside + path)
        if place not in files:
            raise FileNotFoundError(errno.ENOENT, "it is not in the folder", path)
        return blobs.read(files[place]).decode(errors="replace")

    try:
        text = read(name)
    except FileNotFoundError:
        raise errors.InvalidInput(
            f"The folder of the build has no '{name}'", cure="Name it with `dockerfile_path`."
        ) from None
    return dockerfile.parse(text, name, read)


def versions(ctx: Ctx, name: str) -> list[catalog.Asset]:
    identity.permit(ctx, Action.ENVIRONMENT_READ)
    return assets.versions(ctx, "environment", name)


def names(ctx: Ctx, archived: bool = False) -> list[catalog.Asset]:
    sees = things.seen(ctx, Action.ENVIRONMENT_READ, "environment")
    return [each for each in assets.names(ctx, "environment", archived) if sees(each.name)]


def show(ctx: Ctx, reference: str) -> catalog.Asset:
    identity.permit(ctx, Action.ENVIRONMENT_READ)
    return assets.resolve(ctx, "environment", reference)


def lock(ctx: Ctx, digest: str) -> model.Lock:
    """Every package behind a digest. Raises NotFound."""
    found = store.lock(ctx, digest)
    if found is None:
        raise errors.NotFound(f"No environment lock has the digest {digest[:12]}…")
    return found


def kits_folder(settings: Settings) -> Path:
    """Where serving kits are, if there are any."""
    return kits.folder(settings.home)
