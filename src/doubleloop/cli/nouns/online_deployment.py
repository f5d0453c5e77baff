"""``doubleloop online-deployment``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.base import errors
from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session
    from doubleloop.specs import documents

_COLUMNS = (
    output.Column("Name", "name"),
    output.Column("Status", "status"),
    output.Column("Traffic %", "traffic"),
    output.Column("Model", "model"),
    output.Column("Instances", "instances"),
    output.Column("Release", "release"),
    output.Column("Created", "created_at", output.when),
)
_ENDPOINT = click.option(
    "-e", "--endpoint-name", "--endpoint", "endpoint", metavar="NAME", required=True, help="Its endpoint."
)


@click.group("online-deployment", cls=tree.Verbs)
def GROUP() -> None:
    """Deployments of models behind endpoints."""


def _document(
    session: Session, file: str | None, sets: tuple[str, ...], name: str | None, endpoint: str | None
) -> documents.Document:
    """From a file; without one, the deployment that is there, changed."""
    from doubleloop.cli import files

    pairs = options.pairs(sets, "--set")
    if file is not None:
        return files.read(session, file, "online_deployment", pairs, name=name, endpoint_name=endpoint)
    if name is None or endpoint is None:
        raise errors.InvalidInput(
            "It is not said which deployment", cure="Give -n NAME and -e ENDPOINT, or a file with -f FILE."
        )
    found = session.workspace.endpoints.deployment(endpoint, name)
    return files.again(session, "online_deployment", name, found["spec"], pairs)


def _put(session: Session, document: documents.Document, no_wait: bool, all_traffic: bool) -> Any:
    from doubleloop.cli import files, follow

    model = document.model
    found = session.workspace.endpoints.create_deployment(model.endpoint_name, files.ship(session, document))
    if no_wait:
        return found
    found = follow.deployment(session, model.endpoint_name, model.name, found["id"])
    if all_traffic:
        session.workspace.endpoints.set_traffic(model.endpoint_name, {model.name: 100}, reason="--all-traffic")
        found = session.workspace.endpoints.deployment(model.endpoint_name, model.name)
    return found


@GROUP.command("create", cls=options.Verb)
@options.file(required=True)
@options.name(required=False)
@click.option("-e", "--endpoint-name", "--endpoint", "endpoint", metavar="NAME", help="Its endpoint.")
@click.option("--all-traffic", is_flag=True, help="Give it all traffic once it is ready.")
@options.no_wait()
@click.option("--local", is_flag=True, hidden=True, expose_value=False)
@click.option("--skip-script-validation", is_flag=True, hidden=True, expose_value=False)
@click.option("--package-model", "--with-package", "package", is_flag=True, hidden=True)
@options.shared()
def create(
    session: Session, file: str, sets: tuple[str, ...], name: str | None, endpoint: str | None,
    all_traffic: bool, no_wait: bool, package: bool,
) -> Any:  # fmt: skip
    """Deploy a model and wait until it is ready. It gets no traffic unless you say so."""
    if package:
        session.note("note: nothing is packed here: the model's environment is built once and cached")
    return _put(session, _document(session, file, sets, name, endpoint), no_wait, all_traffic)


@GROUP.command("update", cls=options.Verb)
@options.file()
@options.name(required=False)
@click.option("-e", "--endpoint-name", "--endpoint", "endpoint", metavar="NAME", help="Its endpoint.")
@options.no_wait()
@click.option("--local", is_flag=True, hidden=True, expose_value=False)
@click.option("--skip-script-validation", is_flag=True, hidden=True, expose_value=False)
@options.shared()
def update(
    session: Session, file: str | None, sets: tuple[str, ...], name: str | None, endpoint: str | None, no_wait: bool
) -> Any:  # fmt: skip
    """Change a deployment to what the file says, or by --set, without a gap in service."""
    return _put(session, _document(session, file, sets, name, endpoint), no_wait, False)


@GROUP.command("list", cls=options.Verb)
@_ENDPOINT
@options.limit()
@options.shared()
def list_(session: Session, endpoint: str, limit: int | None) -> output.Shown:
    """The deployments of an endpoint."""
    return output.Shown(session.workspace.endpoints.deployments(endpoint, limit), _COLUMNS)


@GROUP.command("show", cls=options.Verb)
@options.name()
@_ENDPOINT
@click.option("--local", is_flag=True, hidden=True, expose_value=False)
@options.shared()
def show(session: Session, name: str, endpoint: str) -> Any:
    """One deployment."""
    return session.workspace.endpoints.deployment(endpoint, name)


@GROUP.command("delete", cls=options.Verb)
@options.name()
@_ENDPOINT
@options.yes()
@options.no_wait()
@click.option("--local", is_flag=True, hidden=True, expose_value=False)
@options.shared()
def delete(session: Session, name: str, endpoint: str, yes: bool, no_wait: bool) -> None:
    """Delete a deployment that takes no traffic."""
    session.confirm(f"Delete deployment {name} of {endpoint}?", yes)
    session.workspace.endpoints.delete_deployment(endpoint, name)
    session.note(f"Deployment {name} of {endpoint} is deleted.")


@GROUP.command("get-logs", cls=options.Verb)
@options.name()
@_ENDPOINT
@click.option(
    "-l", "--lines", type=click.IntRange(1, 10_000), default=50, metavar="N", help="Newest lines  [default: 50]"
)
@click.option("-c", "--container", hidden=True, expose_value=False)
@click.option("--local", is_flag=True, hidden=True, expose_value=False)
@options.shared()
def get_logs(session: Session, name: str, endpoint: str, lines: int) -> Any:
    """What the deployment's processes wrote."""
    text = session.workspace.endpoints.logs(endpoint, name, lines)
    if session.machine:
        return text
    session.say(text)
    return None
