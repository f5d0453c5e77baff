"""``doubleloop registry``: the shared registries, and promotion bundles that leave and enter the installation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from doubleloop.base import errors
from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_BUNDLES = (
    output.Column("Digest", "digest", output.short),
    output.Column("Model", "model"),
    output.Column("Version", "version"),
    output.Column("Release", "release"),
    output.Column("Workspace", "workspace"),
    output.Column("Imported", "imported"),
    output.Column("Made", "created_at", output.when),
)
_KEYS = (
    output.Column("Id", "id"),
    output.Column("Name", "name"),
    output.Column("Public key", "public"),
    output.Column("Added by", "added_by"),
    output.Column("Added", "added_at", output.when),
)


@click.group("registry", cls=tree.Verbs)
def GROUP() -> None:
    """Shared registries, and bundles between installations."""


@GROUP.command("list", cls=options.Verb)
@options.shared(workspace=False)
def list_(session: Session) -> output.Shown:
    """The registries that workspaces share assets through."""
    found = [each for each in session.client.workspaces() if each.get("is_registry")]
    return output.Shown(found, (output.Column("Name", "name"), output.Column("Description", "description")))


@GROUP.command("show", cls=options.Verb)
@options.name("registry's name")
@options.shared(workspace=False)
def show(session: Session, name: str) -> Any:
    """One registry."""
    found = session.client.show_workspace(name)
    if not found.get("is_registry"):
        raise errors.NotFound(f"'{name}' is a workspace, not a registry", cure=f"doubleloop workspace show -n {name}")
    return found


@GROUP.command("create", cls=options.Verb)
@options.file()
@options.name("registry's name", required=False)
@click.option("--description", metavar="TEXT", help="What it shares.")
@click.option("-l", "--location", metavar="REGION", help="Azure region; without effect.")
@options.no_wait()
@options.shared(workspace=False)
def create(
    session: Session, file: str | None, sets: tuple[str, ...], name: str | None, description: str | None,
    location: str | None, no_wait: bool,
) -> Any:  # fmt: skip
    """Make a registry; an existing one is changed to what is said."""
    from doubleloop.cli import files, single

    pairs = options.pairs(sets, "--set")
    spec = files.read(
        session, file, "registry", pairs, name=name, description=description, location=location
    ).spec()  # fmt: skip
    single.put(session, "registry", {key: spec[key] for key in ("name", "description") if key in spec})
    return session.client.show_workspace(spec["name"])


GROUP.add_command(create, "update")


@GROUP.command("delete", cls=options.Verb)
@options.name("registry's name")
@options.yes()
@click.option("--all-resources", is_flag=True, help="With everything that it holds.")
@options.no_wait()
@options.shared(workspace=False)
def delete(session: Session, name: str, yes: bool, all_resources: bool, no_wait: bool) -> None:
    """Delete a registry that was made by `registry create`. One that holds something needs --all-resources."""
    from doubleloop.cli import single

    session.confirm(f"Delete registry {name}?", yes)
    single.remove(session, "registry", name, with_data=all_resources)
    session.note(f"Registry {name} is deleted.")


@GROUP.command("bundles", cls=options.Verb)
@click.option("--model", metavar="NAME", help="Of one model.")
@click.option("--release", metavar="ID", help="Of one release.")
@options.shared(workspace=False)
def bundles(session: Session, model: str | None, release: str | None) -> output.Shown:
    """Promotion bundles made or imported here, newest first."""
    return output.Shown(session.client.bundles.list(model=model, release=release), _BUNDLES)


@GROUP.command("show-bundle", cls=options.Verb)
@click.option("--bundle", required=True, metavar="DIGEST", help="The bundle; the first digits will do.")
@options.shared(workspace=False)
def show_bundle(session: Session, bundle: str) -> Any:
    """What a bundle says, once its signature and evidence were checked."""
    return session.client.bundles.show(_digest(session, bundle, None, None))


@GROUP.command("export", cls=options.Verb)
@click.option("--bundle", metavar="DIGEST", help="The bundle; the first digits will do.")
@click.option("--release", metavar="ID", help="The newest bundle of a release.")
@click.option("--model", metavar="NAME[:VERSION]", help="The newest bundle of a model.")
@click.option("-f", "--file", required=True, metavar="FILE", help="Where to write it.")
@options.shared(workspace=False)
def export(session: Session, bundle: str | None, release: str | None, model: str | None, file: str) -> Any:
    """Write a bundle to one file, for an installation that this one cannot reach."""
    digest = _digest(session, bundle, release, model)
    told = session.client.bundles.export(digest, Path(file), session.progress.bytes("Fetching"))
    session.note(f"Wrote {file}. Whoever imports it must trust the key {told['key']} (`doubleloop registry key`).")
    return {name: value for name, value in told.items() if name != "manifest"}


@GROUP.command("import", cls=options.Verb)
@click.argument("file", metavar="FILE")
@options.shared(workspace=False)
def import_(session: Session, file: str) -> Any:
    """Take in a bundle's file: verified, then registered as a model version."""
    return session.client.bundles.take_in(Path(file), session.progress.bytes("Uploading"))


@GROUP.command("key", cls=options.Verb)
@options.shared(workspace=False)
def key(session: Session) -> Any:
    """The public key that this installation's bundles are signed with."""
    return session.client.bundles.keys()["own"]


@GROUP.command("keys", cls=options.Verb)
@options.shared(workspace=False)
def keys(session: Session) -> output.Shown:
    """The keys whose bundles are taken here."""
    return output.Shown(session.client.bundles.keys()["items"], _KEYS)


@GROUP.command("trust", cls=options.Verb)
@options.name("name of the other installation")
@click.option("--public", required=True, metavar="KEY", help="Its public key, as its `registry key` shows it.")
@options.shared(workspace=False)
def trust(session: Session, name: str, public: str) -> Any:
    """Take bundles that are signed with this key."""
    return session.client.bundles.trust(name, public)


@GROUP.command("untrust", cls=options.Verb)
@click.option("--key", "id_", required=True, metavar="ID", help="The key's id.")
@options.shared(workspace=False)
def untrust(session: Session, id_: str) -> None:
    """Take no more bundles of a key; those that are here stay."""
    session.client.bundles.distrust(id_)
    session.note(f"The key {id_} is no longer trusted.")


def _digest(session: Session, bundle: str | None, release: str | None, model: str | None) -> str:
    """The one that was meant. Raises InvalidInput, NotFound."""
    if sum(each is not None for each in (bundle, release, model)) != 1:
        raise errors.InvalidInput("Say which bundle", cure="Give one of --bundle, --release and --model.")
    name, _, version = (model or "").partition(":")
    found = session.client.bundles.list(model=name or None, release=release)
    if bundle:
        found = [each for each in found if each["digest"].startswith(bundle)]
    if version:
        found = [each for each in found if each["version"] == version]
    if not found:
        raise errors.NotFound(
            "There is no such bundle",
            cure="`doubleloop registry bundles` shows them; releases to production make them.",
        )
    if bundle and len(found) > 1:
        raise errors.InvalidInput(f"{len(found)} bundles begin with {bundle}", cure="Give more of its digits.")
    return str(found[0]["digest"])
