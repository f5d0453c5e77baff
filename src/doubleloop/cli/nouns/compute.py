"""``doubleloop compute``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.base import errors
from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Name", "name"),
    output.Column("Type", "type"),
    output.Column("State", "state"),
    output.Column("Slots", "slots"),
    output.Column("Busy", "busy"),
    output.Column("Queued", "queued"),
)


@click.group("compute", cls=tree.Verbs)
def GROUP() -> None:
    """Where jobs run."""


@GROUP.command("list", cls=options.Verb)
@click.option("-t", "--type", "type_", metavar="TYPE", help="Of one type.")
@options.limit()
@options.shared()
def list_(session: Session, type_: str | None, limit: int | None) -> output.Shown:
    """The computes of the workspace."""
    found = session.workspace.computes.list()
    chosen = [each for each in found if type_ is None or str(each["type"]).lower() == type_.lower()]
    return output.Shown(chosen[:limit], _COLUMNS)


@GROUP.command("show", cls=options.Verb)
@options.name()
@options.shared()
def show(session: Session, name: str) -> Any:
    """One compute. A name that nobody declared stands for this machine too."""
    return session.workspace.computes.show(name)


@GROUP.command("create", cls=options.Verb)
@options.file()
@options.name(required=False)
@click.option("-t", "--type", "type_", metavar="TYPE", help="amlcompute, computeinstance, … or local.")
@click.option("--size", metavar="SIZE", help="Azure machine size; recorded.")
@click.option("--tier", metavar="TIER", help="dedicated or low_priority; recorded.")
@click.option("--min-instances", metavar="N", help="Recorded.")
@click.option("--max-instances", metavar="N", help="Steps that may run at the same time.")
@click.option("--idle-time-before-scale-down", "idle", metavar="SECONDS", help="Recorded.")
@click.option("--description", metavar="TEXT", help="What it is for.")
@click.option("-l", "--location", metavar="REGION", help="Azure region; recorded.")
@click.option("--tags", multiple=True, metavar="KEY=VALUE", help="Free labels.")
@click.option("--identity-type", hidden=True, expose_value=False)
@click.option("-i", "--user-assigned-identities", hidden=True, expose_value=False)
@click.option("--vnet-name", hidden=True, expose_value=False)
@click.option("--subnet", hidden=True, expose_value=False)
@click.option("--enable-node-public-ip", hidden=True, expose_value=False)
@click.option("--ssh-public-access-enabled", hidden=True, expose_value=False)
@click.option("--ssh-key-value", hidden=True, expose_value=False)
@click.option("--admin-username", hidden=True, expose_value=False)
@click.option("--admin-password", hidden=True, expose_value=False)
@options.no_wait()
@options.shared()
def create(
    session: Session, file: str | None, sets: tuple[str, ...], name: str | None, type_: str | None, size: str | None,
    tier: str | None, min_instances: str | None, max_instances: str | None, idle: str | None, description: str | None,
    location: str | None, tags: tuple[str, ...], no_wait: bool,
) -> Any:  # fmt: skip
    """Declare a compute for every workspace; an existing one is changed. It stands for this machine."""
    from doubleloop.cli import files, single

    document = files.read(
        session, file, "compute", [*options.pairs(sets, "--set"), *options.tags(tags)], name=name,
        type=type_, size=size, tier=tier, min_instances=min_instances, max_instances=max_instances,
        idle_time_before_scale_down=idle, description=description, location=location,
    )  # fmt: skip
    single.put(session, "compute", {key: value for key, value in document.spec().items() if key != "$schema"})
    return session.workspace.computes.show(document.model.name)


@GROUP.command("update", cls=options.Verb)
@options.file()
@options.name(required=False)
@click.option("--min-instances", metavar="N", help="Recorded.")
@click.option("--max-instances", metavar="N", help="Steps that may run at the same time.")
@click.option("--idle-time-before-scale-down", "idle", metavar="SECONDS", help="Recorded.")
@click.option("--identity-type", "identity", hidden=True)
@click.option("-i", "--user-assigned-identities", hidden=True, expose_value=False)
@options.no_wait()
@options.shared()
def update(
    session: Session, file: str | None, sets: tuple[str, ...], name: str | None, min_instances: str | None,
    max_instances: str | None, idle: str | None, identity: str | None, no_wait: bool,
) -> Any:  # fmt: skip
    """Change a compute, by a file, by flags or by --set."""
    from doubleloop.cli import files, single

    given = {"min_instances": min_instances, "max_instances": max_instances, "idle_time_before_scale_down": idle}
    pairs = options.pairs(sets, "--set")
    if identity and name and file is None and not pairs and not any(given.values()):
        session.note("note: jobs act under identities of this installation; a compute has none of its own")
        return session.workspace.computes.show(name)
    if file is not None or name is None:
        document = files.read(session, file, "compute", pairs, name=name, **given)
    else:
        document = files.again(session, "compute", name, _declared(session, name), pairs, **given)
    single.put(session, "compute", {key: value for key, value in document.spec().items() if key != "$schema"})
    return session.workspace.computes.show(document.model.name)


def _declared(session: Session, name: str) -> dict[str, Any]:
    """What was declared of a compute. Raises NotFound for a name that nobody declared."""
    found = next((each for each in session.workspace.computes.list() if each["name"] == name), None)
    if found is None or name == "local":
        raise errors.NotFound(f"No compute '{name}' is declared", cure="`doubleloop compute create` declares one.")
    return {"name": name, "type": found["type"], **found["accepted"]}


@GROUP.command("delete", cls=options.Verb)
@options.name()
@options.yes()
@options.no_wait()
@options.shared()
def delete(session: Session, name: str, yes: bool, no_wait: bool) -> None:
    """Forget a compute that was made by `compute create`."""
    from doubleloop.cli import single

    session.confirm(f"Delete compute {name}?", yes)
    single.remove(session, "compute", name)
    session.note(f"Compute {name} is deleted.")


@GROUP.command("list-sizes", cls=options.Verb)
@options.shared()
def list_sizes(session: Session) -> Any:
    """The sizes there are: one, this machine."""
    found = session.workspace.computes.show("local")
    return [{"name": "local", "vcpus": found["slots"], "gpus": 0}]


def _without_effect(verb: str, text: str) -> None:
    @GROUP.command(verb, cls=options.Verb, help=text)
    @options.name()
    @options.no_wait()
    @options.shared()
    def quiet(session: Session, name: str, no_wait: bool) -> Any:
        session.note(f"Compute {name} is this machine: it runs as long as the server does.")
        return session.workspace.computes.show(name)


for _verb in ("start", "stop", "restart"):
    _without_effect(_verb, f"Taken as az takes it. There are no machines to {_verb} here.")
