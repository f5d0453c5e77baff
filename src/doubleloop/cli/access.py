"""``doubleloop login`` and ``doubleloop logout``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.base import errors
from doubleloop.cli import options, output, passwords

if TYPE_CHECKING:
    from doubleloop.cli.session import Session
    from doubleloop.sdk.client import Client


@click.command("login", cls=options.Verb)
@click.option("--url", metavar="URL", help="Address of the server  [default: the one known here]")
@click.option("-u", "--user", "user", metavar="NAME", help="Who logs in.")
@click.option("--password-stdin", "stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--oidc", "by_provider", is_flag=True, help="By the OpenID Connect provider, in a browser.")
@click.option("--device", is_flag=True, help="With --oidc: by a code that is typed on another machine.")
@click.option("--no-browser", is_flag=True, help="With --oidc: show the address and open nothing.")
@options.shared(workspace=False, user=False)
def login(
    session: Session, url: str | None, user: str | None, stdin: bool, by_provider: bool, device: bool, no_browser: bool
) -> output.Shown:
    """Log in and remember it, as the current login and under the user's name (for --user)."""
    from doubleloop.sdk import client, profiles

    name = user or session.flags.user
    if not name and not by_provider:
        raise errors.InvalidInput("Who logs in?", cure="Add --user NAME, or --oidc.")
    before = profiles.read(profiles.place(session.home))
    address = url or session.environ.get("DOUBLELOOP_URL") or (before.url if before else profiles.DEFAULT_URL)
    opened = client.Client(address)
    opened.health()
    if by_provider:
        found = _by_provider(session, opened, device=device, show=not no_browser)
    else:
        found = opened.login(str(name), passwords.known(str(name), stdin))
    workspace = before.workspace if before and before.url == address else None
    profiles.log_in(session.home, profiles.Profile(address, found["token"], found["user"], workspace))
    session.note(f"Logged in to {address} as {found['user']}.")
    shown: dict[str, Any] = {"url": address, "user": found["user"], "expires_at": found.get("expires_at")}
    return output.Shown(shown)


def _by_provider(session: Session, opened: Client, *, device: bool, show: bool) -> dict[str, Any]:
    """In a browser of this machine if it has one; else by a device code, where the provider offers that."""
    from doubleloop.cli import browser

    if device:
        return browser.by_device(session, opened)
    if show and not browser.has_browser():
        try:
            return browser.by_device(session, opened)
        except errors.NotSupported:
            show = False
    return browser.by_loopback(session, opened, show=show)


@click.command("logout", cls=options.Verb)
@options.shared(workspace=False)
def logout(session: Session) -> None:
    """Forget the login, here and on the server."""
    from doubleloop.sdk import profiles

    try:
        session.client.logout()
    except errors.NotAuthenticated:
        session.note("The login had ended already.")
    profiles.log_out(session.home, session.profile)
    session.note("Logged out.")
