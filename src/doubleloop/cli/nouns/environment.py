"""``doubleloop environment``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from doubleloop.cli import options, output, tree
from doubleloop.cli.nouns import asset

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Name", "name"),
    output.Column("Version", "version"),
    output.Column("Image", "image"),
    output.Column("Lock", "lock_digest", output.short),
    output.Column("Workspace", "workspace"),
    output.Column("Created", "created_at", output.when),
    output.Column("By", "created_by"),
)


@click.group("environment", cls=tree.Verbs)
def GROUP() -> None:
    """Environments that jobs and deployments run in."""


asset.add(GROUP, "environments", columns=_COLUMNS)


@GROUP.command("create", cls=options.Verb)
@options.file()
@options.name(required=False)
@click.option("-v", "--version", metavar="VERSION", help="Version  [default: the next]")
@click.option("--image", metavar="IMAGE", help="Docker image; recorded.")
@click.option("-c", "--conda-file", metavar="FILE", help="Conda file with the pins.")
@click.option("-b", "--build-context", metavar="FOLDER", help="Folder with a Dockerfile.")
@click.option("-d", "--dockerfile-path", metavar="FILE", help="The Dockerfile in it  [default: Dockerfile]")
@click.option("--tags", multiple=True, metavar="KEY=VALUE", help="Free labels.")
@click.option("--description", metavar="TEXT", help="What it is for.")
@options.shared()
def create(
    session: Session, file: str | None, sets: tuple[str, ...], name: str | None, version: str | None, image: str | None,
    conda_file: str | None, build_context: str | None, dockerfile_path: str | None, tags: tuple[str, ...],
    description: str | None,
) -> Any:  # fmt: skip
    """A new version of an environment. It is built when first needed, or by `environment build`."""
    from doubleloop.cli import files

    document = files.read(
        session, file, "environment", [*options.pairs(sets, "--set"), *options.tags(tags)], name=name,
        version=version, image=image, conda_file=conda_file, build=_build(build_context, dockerfile_path),
        description=description,
    )  # fmt: skip
    return session.workspace.environments.create(files.ship(session, document))


def _build(folder: str | None, dockerfile: str | None) -> dict[str, str] | None:
    if folder is None:
        return None
    return {"path": str(Path(folder).absolute()), **({"dockerfile_path": dockerfile} if dockerfile else {})}


@GROUP.command("build", cls=options.Verb)
@options.name()
@options.version()
@options.shared()
def build(session: Session, name: str, version: str | None, label: str | None) -> Any:
    """Resolve and build it now, and show its packages."""
    plain, wanted = options.asset(session, name, version, label)
    return session.workspace.environments.build(plain, wanted, session.note)
