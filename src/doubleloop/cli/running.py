"""``doubleloop up``, ``down``, ``status``, ``demo``, ``version``: they start or ask the processes of an installation.

These alone reach into the server's own code, by name and when they run, since it is this very program.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from doubleloop.base import errors
from doubleloop.cli import options, output

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_SCENARIOS = ("classical", "vision", "language")


def _settings(session: Session, **given: Any) -> Any:
    """The server's settings: variables, then flags."""
    module = importlib.import_module("doubleloop.settings.model")
    return module.load(session.environ, **{key: value for key, value in given.items() if value is not None})


def _part(module: str, name: str) -> Any:
    """A function of the server's processes. Raises Unavailable when that part is not installed."""
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("doubleloop"):
            raise errors.Unavailable(
                f"The server needs the package {error.name}, which is not installed",
                cure="Install it: `pip install doubleloop`.",
            ) from error
        raise errors.Unavailable(f"{module} is not part of this installation") from error


def _place(function: Callable[..., Any]) -> Callable[..., Any]:
    """Where to listen."""
    for flag, kind, metavar, text in (
        ("--gateway-port", int, "PORT", "Port of the serving gateway  [default: the one after --port]"),
        ("--port", int, "PORT", "Port of the API and console  [default: 8600]"),
        ("--host", str, "HOST", "Address to listen on  [default: 127.0.0.1]"),
        ("--home", str, "FOLDER", "Home folder  [default: $DOUBLELOOP_HOME or ~/.doubleloop]"),
    ):
        function = click.option(flag, type=kind, metavar=metavar, help=text)(function)
    return function


@click.command("up", cls=options.Verb)
@_place
@click.option("-d", "--detach", is_flag=True, help="Give the terminal back once everything runs.")
@options.shared(workspace=False)
def up(
    session: Session, home: str | None, host: str | None, port: int | None, gateway_port: int | None, detach: bool
) -> Any:  # fmt: skip
    """Start the server, the gateway and MLflow; Ctrl-C stops them. What was in flight goes on."""
    settings = _settings(session, home=home, host=host, port=port, gateway_port=gateway_port)
    found = _part("doubleloop.main.starting", "up")(settings, detach=detach)
    return found if detach else None


@click.command("down", cls=options.Verb)
@click.option("--home", metavar="FOLDER", help="Home folder  [default: $DOUBLELOOP_HOME or ~/.doubleloop]")
@options.shared(workspace=False)
def down(session: Session, home: str | None) -> Any:
    """Stop what `up` started. What is in flight goes on at the next `up`."""
    stopped = _part("doubleloop.main.processes", "down")(_settings(session, home=home))
    return {"stopped": stopped} if session.machine else None


@click.command("status", cls=options.Verb)
@click.option("--home", metavar="FOLDER", help="Home folder  [default: $DOUBLELOOP_HOME or ~/.doubleloop]")
@options.shared(workspace=False)
def status(session: Session, home: str | None) -> Any:
    """What runs here, and how it does."""
    return _part("doubleloop.main.processes", "status")(_settings(session, home=home))


@click.command("demo", cls=options.Verb)
@click.argument("scenario", type=click.Choice(_SCENARIOS), default="classical")
@_place
@options.yes()
@click.option("--restart", is_flag=True, help="Start over instead of going on where it stopped.")
@click.option("--leave", is_flag=True, help="End with the demo instead of leaving the console open.")
@options.shared(workspace=False)
def demo(
    session: Session, scenario: str, home: str | None, host: str | None, port: int | None, gateway_port: int | None,
    yes: bool, restart: bool, leave: bool,
) -> Any:  # fmt: skip
    """Play a model's whole life on real data: train, release, approve, serve, drift, retrain, release again.

    The approval is asked for on a terminal; with --yes, or without one, a second demo user gives it.
    """
    settings = _settings(session, home=home, host=host, port=port, gateway_port=gateway_port)
    return _part("doubleloop.demo.scenarios", "main")(scenario, settings, yes=yes, restart=restart, leave=leave)


@click.command("version", cls=options.Verb)
@options.shared(workspace=False)
def version(session: Session) -> output.Shown:
    """The versions of this program and, when it answers, of its server."""
    from importlib import metadata

    from doubleloop.sdk import client, transport

    found: dict[str, Any] = {"doubleloop": metadata.version("doubleloop"), "server": None, "url": None}
    try:
        profile = session.profile
        asked = client.Client(profile.url, timeout=5, patience=transport.Patience(seconds=0))
        found |= {"url": profile.url, "server": asked.health().get("version")}
    except (errors.Unavailable, errors.NotFound) as error:
        session.note(f"note: {error.what}")
    return output.Shown(found)
