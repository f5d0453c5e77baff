"""``doubleloop workspace``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.base import errors
from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Name", "name"),
    output.Column("Kind", "kind"),
    output.Column("Registry", "is_registry"),
    output.Column("Description", "description"),
    output.Column("Created", "created_at", output.when),
)


@click.group("workspace", cls=tree.Verbs)
def GROUP() -> None:
    """Workspaces, and the default one."""


@GROUP.command("list", cls=options.Verb)
@options.shared(workspace=False)
def list_(session: Session) -> output.Shown:
    """The workspaces you may look into."""
    return output.Shown(session.client.workspaces(), _COLUMNS)


@GROUP.command("show", cls=options.Verb)
@options.name(required=False)
@options.shared()
def show(session: Session, name: str | None) -> Any:
    """One workspace  [default: the one in use]."""
    found = session.client.show_workspace(name or session.workspace.name)
    # What az says of one beside, where it means something.
    address = f"{session.client.url}/mlflow/w/{found['name']}"
    return {**found, "mlflow_tracking_uri": address, "location": "local", "provisioning_state": "Succeeded"}


@GROUP.command("use", cls=options.Verb)
@options.name()
@options.shared(workspace=False)
def use(session: Session, name: str) -> Any:
    """Make it the default of -w from now on."""
    from dataclasses import replace

    from doubleloop.sdk import profiles

    found = session.client.show_workspace(name)
    path = profiles.place(session.home, session.flags.user)
    stored = profiles.read(path)
    if stored is None:
        raise errors.NotFound(
            "There is no stored login to keep it in", cure="Log in first, or set DOUBLELOOP_WORKSPACE."
        )  # fmt: skip
    profiles.write(path, replace(stored, workspace=found["name"]))
    session.note(f"Commands without -w now use {found['name']}.")
    return found


@GROUP.command("create", cls=options.Verb)
@options.file()
@options.name(required=False)
@click.option("--kind", metavar="KIND", help="preproduction or production  [default: preproduction]")
@click.option("--display-name", metavar="TEXT", help="What people see.")
@click.option("--description", metavar="TEXT", help="What it is for.")
@click.option("-l", "--location", metavar="REGION", help="Azure region; without effect.")
@click.option("--tags", multiple=True, metavar="KEY=VALUE", help="Free labels.")
@click.option("-m", "--managed-network", hidden=True, expose_value=False)
@click.option("--public-network-access", hidden=True, expose_value=False)
@options.no_wait()
@options.shared(workspace=False)
def create(
    session: Session, file: str | None, sets: tuple[str, ...], name: str | None, kind: str | None,
    display_name: str | None, description: str | None, location: str | None, tags: tuple[str, ...], no_wait: bool,
) -> Any:  # fmt: skip
    """Make a workspace; an existing one is changed to what is said."""
    from doubleloop.cli import files

    document = files.read(
        session, file, "workspace", [*options.pairs(sets, "--set"), *options.tags(tags)], name=name,
        kind=kind, display_name=display_name, description=description, location=location,
    )  # fmt: skip
    return _put(session, document.spec())


@GROUP.command("update", cls=options.Verb)
@options.file()
@options.name(required=False)
@click.option("--display-name", metavar="TEXT", help="What people see.")
@click.option("--description", metavar="TEXT", help="What it is for.")
@options.no_wait()
@options.shared()
def update(
    session: Session, file: str | None, sets: tuple[str, ...], name: str | None, display_name: str | None,
    description: str | None, no_wait: bool,
) -> Any:  # fmt: skip
    """Change a workspace's words, by a file, by flags or by --set."""
    from doubleloop.cli import files

    pairs, given = options.pairs(sets, "--set"), {"display_name": display_name, "description": description}
    name = name or session.workspace.name
    found = session.client.show_workspace(name)
    kept = {key: found[key] for key in ("name", "kind", "description") if found.get(key)}
    if file is not None:
        read = files.read(session, file, "workspace", pairs, name=name, **given)
        return _put(session, {**kept, **read.spec()})
    return _put(session, {**kept, **files.again(session, "workspace", name, kept, pairs, **given).spec()})


# What a set-up keeps of a workspace; the rest means something on Azure only, and was noted.
_SAID = ("name", "kind", "display_name", "description", "tags")


def _put(session: Session, spec: dict[str, Any]) -> Any:
    from doubleloop.cli import single

    single.put(session, "workspace", {"kind": "preproduction", **{key: spec[key] for key in _SAID if key in spec}})
    return session.client.show_workspace(spec["name"])


@GROUP.command("delete", cls=options.Verb)
@options.name()
@options.yes()
@click.option("--all-resources", is_flag=True, help="With everything that it holds.")
@click.option("-p", "--permanently-delete", is_flag=True, help="With everything that it holds.")
@options.no_wait()
@options.shared(workspace=False)
def delete(
    session: Session, name: str, yes: bool, all_resources: bool, permanently_delete: bool, no_wait: bool
) -> None:  # fmt: skip
    """Delete a workspace that was made by `workspace create`. One that holds something needs --all-resources."""
    from doubleloop.cli import single

    session.confirm(f"Delete workspace {name}?", yes)
    single.remove(session, "workspace", name, with_data=all_resources or permanently_delete)
    session.note(f"Workspace {name} is deleted.")
