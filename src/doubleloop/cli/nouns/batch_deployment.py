"""``doubleloop batch-deployment``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Name", "name"),
    output.Column("Type", "type"),
    output.Column("Model", "model"),
    output.Column("Mini-batch", "mini_batch_size"),
    output.Column("Created", "created_at", output.when),
    output.Column("By", "created_by"),
)
JOBS = (
    output.Column("Name", "id"),
    output.Column("Status", "status"),
    output.Column("Deployment", "purpose.deployment"),
    output.Column("Started", "started_at", output.when),
    output.Column("Ended", "ended_at", output.when),
    output.Column("By", "created_by"),
)
_ENDPOINT = click.option(
    "-e", "--endpoint-name", "--endpoint", "endpoint", metavar="NAME", required=True, help="Its endpoint."
)
_DEFAULT = click.option("--set-default", is_flag=True, help="Make it the one that answers when none is named.")


@click.group("batch-deployment", cls=tree.Verbs)
def GROUP() -> None:
    """Models and pipelines behind batch endpoints."""


def _put(
    session: Session, file: str, sets: tuple[str, ...], name: str | None, endpoint: str | None, default: bool
) -> Any:  # fmt: skip
    from doubleloop.cli import files

    pairs = options.pairs(sets, "--set")
    document = files.read(session, file, "batch_deployment", pairs, name=name, endpoint_name=endpoint)
    body = files.ship(session, document)
    return session.workspace.batch_endpoints.put_deployment(document.model.endpoint_name, body, default)


@GROUP.command("create", cls=options.Verb)
@options.file(required=True)
@options.name(required=False)
@click.option("-e", "--endpoint-name", "--endpoint", "endpoint", metavar="NAME", help="Its endpoint.")
@_DEFAULT
@options.no_wait()
@click.option("--skip-script-validation", is_flag=True, hidden=True, expose_value=False)
@options.shared()
def create(
    session: Session, file: str, sets: tuple[str, ...], name: str | None, endpoint: str | None, set_default: bool,
    no_wait: bool,
) -> Any:  # fmt: skip
    """Put a model or a pipeline behind an endpoint. The first one of an endpoint is its default."""
    return _put(session, file, sets, name, endpoint, set_default)


@GROUP.command("update", cls=options.Verb)
@options.file(required=True)
@options.name(required=False)
@click.option("-e", "--endpoint-name", "--endpoint", "endpoint", metavar="NAME", help="Its endpoint.")
@_DEFAULT
@options.no_wait()
@click.option("--skip-script-validation", is_flag=True, hidden=True, expose_value=False)
@options.shared()
def update(
    session: Session, file: str, sets: tuple[str, ...], name: str | None, endpoint: str | None, set_default: bool,
    no_wait: bool,
) -> Any:  # fmt: skip
    """Change a deployment to what the file says. Jobs that run go on as they began."""
    return _put(session, file, sets, name, endpoint, set_default)


@GROUP.command("list", cls=options.Verb)
@_ENDPOINT
@options.limit()
@options.shared()
def list_(session: Session, endpoint: str, limit: int | None) -> output.Shown:
    """The deployments of an endpoint."""
    return output.Shown(session.workspace.batch_endpoints.deployments(endpoint, limit), _COLUMNS)


@GROUP.command("show", cls=options.Verb)
@options.name()
@_ENDPOINT
@options.shared()
def show(session: Session, name: str, endpoint: str) -> Any:
    """One deployment, with its settings and their defaults."""
    return session.workspace.batch_endpoints.deployment(endpoint, name)


@GROUP.command("delete", cls=options.Verb)
@options.name()
@_ENDPOINT
@options.yes()
@options.no_wait()
@options.shared()
def delete(session: Session, name: str, endpoint: str, yes: bool, no_wait: bool) -> None:
    """Delete a deployment. Its jobs and what they left stay."""
    session.confirm(f"Delete deployment {name} of {endpoint}?", yes)
    session.workspace.batch_endpoints.delete_deployment(endpoint, name)
    session.note(f"Deployment {name} of {endpoint} is deleted.")


@GROUP.command("list-jobs", cls=options.Verb)
@options.name()
@_ENDPOINT
@options.shared()
def list_jobs(session: Session, name: str, endpoint: str) -> output.Shown:
    """The jobs that invocations of a deployment started, newest first."""
    return output.Shown(session.workspace.batch_endpoints.jobs(endpoint, name), JOBS)
