"""``doubleloop online-endpoint``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from doubleloop.base import errors
from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session
    from doubleloop.specs import documents

_COLUMNS = (
    output.Column("Name", "name"),
    output.Column("Traffic", "traffic", output.shares),
    output.Column("Auth", "auth_mode"),
    output.Column("Scoring URI", "scoring_uri"),
    output.Column("Created", "created_at", output.when),
    output.Column("By", "created_by"),
)
# What of an endpoint its file says.
_KEPT = ("name", "description", "auth_mode", "traffic", "mirror_traffic", "slo", "tags", "properties")
_TRAFFIC = click.option("--traffic", "traffic", multiple=True, metavar="SHARES", help='Such as "blue=90 green=10".')
_MIRROR = click.option(
    "--mirror-traffic", "mirror", multiple=True, metavar="SHARES", help='Copies, such as "green=10".'
)


@click.group("online-endpoint", cls=tree.Verbs)
def GROUP() -> None:
    """Endpoints and their traffic."""


@GROUP.command("create", cls=options.Verb)
@options.file()
@options.name(required=False)
@click.option("--auth-mode", metavar="MODE", help="key or aml_token  [default: key]")
@options.no_wait()
@click.option("--local", is_flag=True, help="For this machine alone: asks for no key.")
@options.shared()
def create(
    session: Session, file: str | None, sets: tuple[str, ...], name: str | None, auth_mode: str | None, no_wait: bool,
    local: bool,
) -> Any:  # fmt: skip
    """Make an endpoint. An existing one is changed to what the file says."""
    from doubleloop.cli import files

    pairs = options.pairs(sets, "--set")
    document = files.read(session, file, "online_endpoint", pairs, name=name, auth_mode=auth_mode)
    return session.workspace.endpoints.put(files.ship(session, document), local)


@GROUP.command("update", cls=options.Verb)
@options.file()
@options.name(required=False)
@_TRAFFIC
@_MIRROR
@options.no_wait()
@click.option("--local", is_flag=True, hidden=True, expose_value=False)
@options.shared()
def update(
    session: Session, file: str | None, sets: tuple[str, ...], name: str | None, traffic: tuple[str, ...],
    mirror: tuple[str, ...], no_wait: bool,
) -> Any:  # fmt: skip
    """Change the traffic, or whatever the file says."""
    from doubleloop.cli import files

    found = None
    if file or sets:
        document = _changed(session, file, options.pairs(sets, "--set"), name)
        name = document.model.name
        found = session.workspace.endpoints.put(files.ship(session, document))
    shares, mirrored = options.shares(traffic), options.shares(mirror, "--mirror-traffic")
    if not name:
        raise errors.InvalidInput("The name is missing", cure="Give it with -n NAME, or a file with -f FILE.")
    if shares is not None or mirrored is not None:
        present = shares if shares is not None else session.workspace.endpoints.show(name).get("traffic") or {}
        found = session.workspace.endpoints.set_traffic(name, present, mirrored)
    if found is None:
        raise errors.InvalidInput("There is nothing to change", cure='Give --traffic "blue=90 green=10", or -f FILE.')
    return found


def _changed(session: Session, file: str | None, pairs: list[tuple[str, str]], name: str | None) -> documents.Document:
    """From a file; without one, the endpoint that is there, changed. Its traffic is set, never its keys."""
    from doubleloop.cli import files

    if file is not None or name is None:
        return files.read(session, file, "online_endpoint", pairs, name=name)
    found = session.workspace.endpoints.show(name)
    kept = {key: found[key] for key in _KEPT if found.get(key)}
    return files.again(session, "online_endpoint", name, kept, pairs)


@GROUP.command("list", cls=options.Verb)
@options.limit()
@options.shared()
def list_(session: Session, limit: int | None) -> output.Shown:
    """All endpoints of the workspace."""
    return output.Shown(session.workspace.endpoints.list(limit), _COLUMNS)


@GROUP.command("show", cls=options.Verb)
@options.name()
@click.option("--local", is_flag=True, hidden=True, expose_value=False)
@options.shared()
def show(session: Session, name: str) -> Any:
    """One endpoint."""
    return session.workspace.endpoints.show(name)


@GROUP.command("delete", cls=options.Verb)
@options.name()
@options.yes()
@options.no_wait()
@click.option("--local", is_flag=True, hidden=True, expose_value=False)
@options.shared()
def delete(session: Session, name: str, yes: bool, no_wait: bool) -> None:
    """Delete an endpoint with its deployments."""
    session.confirm(f"Delete endpoint {name} and everything that it serves?", yes)
    session.workspace.endpoints.delete(name)
    session.note(f"Endpoint {name} is deleted.")


@GROUP.command("invoke", cls=options.Verb)
@options.name()
@click.option("-r", "--request-file", "request", metavar="FILE", help="JSON to send; - reads standard input.")
@click.option(
    "-d",
    "--deployment-name",
    "--deployment",
    "deployment",
    metavar="NAME",
    help="One deployment, whatever the traffic.",
)
@click.option("--stream", is_flag=True, help="Print the answer to one row as the model makes it, piece by piece.")
@click.option("--local", is_flag=True, hidden=True, expose_value=False)
@options.shared()
def invoke(session: Session, name: str, request: str | None, deployment: str | None, stream: bool) -> Any:
    """Send a request and print the answer. The request id, for `doubleloop trace`, goes to stderr."""
    from doubleloop.sdk import endpoints

    if request is None:
        raise errors.InvalidInput("There is nothing to send", cure="Give it with --request-file FILE.")
    if stream:
        _print_pieces(session, name, _content(request), deployment)
        return None
    answer = session.workspace.endpoints.invoke(name, _content(request), deployment)
    endpoints.refuse(answer)
    _note_request(session, answer.headers, "was answered")
    try:
        return json.loads(answer.body)
    except ValueError:
        return answer.body.decode(errors="replace")


def _note_request(session: Session, headers: Mapping[str, str], what: str) -> None:
    id_, served = headers.get("x-request-id"), headers.get("azureml-model-deployment")
    session.note(f"Request {id_ or '?'} {what}" + (f" by {served}." if served else "."))


def _print_pieces(session: Session, name: str, content: bytes, deployment: str | None) -> None:
    """Texts as they are for a person, a JSON value a line for a program."""
    begun = False

    def head(headers: Mapping[str, str]) -> None:
        _note_request(session, headers, "is answered")

    try:
        for piece in session.workspace.endpoints.stream(name, content, deployment, head):
            begun = True
            if session.machine:
                click.echo(json.dumps(piece, ensure_ascii=False))
            else:
                session.say(piece if isinstance(piece, str) else json.dumps(piece, ensure_ascii=False) + "\n")
    finally:
        if begun and not session.machine:
            session.say("\n")


def _content(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise errors.InvalidInput(
            f"The request cannot be read: {error.strerror}", where=errors.Where(file), cure="Correct the path."
        ) from error


@GROUP.command("get-credentials", cls=options.Verb)
@options.name()
@options.shared()
def get_credentials(session: Session, name: str) -> Any:
    """The two keys."""
    return session.workspace.endpoints.keys(name)


@GROUP.command("regenerate-keys", cls=options.Verb)
@options.name()
@click.option(
    "--key-type", type=click.Choice(["primary", "secondary"]), default="primary", help="Which  [default: primary]"
)
@options.no_wait()
@options.shared()
def regenerate_keys(session: Session, name: str, key_type: str, no_wait: bool) -> Any:
    """Make one key anew; the old one stops working at once."""
    return session.workspace.endpoints.regenerate_key(name, key_type)


@GROUP.command("metrics", cls=options.Verb)
@options.name()
@click.option("-d", "--deployment-name", "deployment", metavar="NAME", help="Of one deployment.")
@options.shared()
def metrics(session: Session, name: str, deployment: str | None) -> Any:
    """Requests, errors and latency."""
    return session.workspace.endpoints.metrics(name, deployment)


@GROUP.command("mirror", cls=options.Verb)
@options.name()
@click.option("-d", "--deployment-name", "deployment", metavar="NAME", help="Of one deployment.")
@options.shared()
def mirror(session: Session, name: str, deployment: str | None) -> Any:
    """How answers to mirrored requests compare with those that callers got."""
    return session.workspace.endpoints.mirror(name, deployment)


@GROUP.command("slo", cls=options.Verb)
@options.name()
@options.shared()
def slo(session: Session, name: str) -> output.Shown:
    """Objectives: how they are met, what is left of their error budgets, and how fast it goes."""
    return output.Shown(session.workspace.endpoints.slo(name), text=_objectives)


def _objectives(found: dict[str, Any]) -> str:
    if not found["objectives"]:
        return f"Endpoint {found['endpoint']} has no objectives: its file names none under `slo`.\n"
    cells = [
        [
            _objective(each), f"{each['target']:g} %", _percent(each["compliance"]), str(each["valid_requests"]),
            f"{each['error_budget']['consumed']} of {each['error_budget']['total']:.1f}",
            _percent(each["error_budget"]["consumed_percent"]),
            *("-" if rate is None else f"{rate:.2f}" for rate in each["burn_rates"].values()),
        ]
        for each in found["objectives"]
    ]  # fmt: skip
    titles = ["Objective", "Target", f"Over {found['window']}", "Requests", "Budget used", "Used", *(
        f"Burn {window}" for window in found["objectives"][0]["burn_rates"])]  # fmt: skip
    return output.rows(titles, cells)


def _objective(each: dict[str, Any]) -> str:
    return f"latency <= {each['threshold_ms']:g} ms" if each["threshold_ms"] else each["objective"]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f} %"
