"""Mailboxes: by which mail server they are written to."""

from __future__ import annotations

import urllib.parse
from pathlib import Path

from doubleloop.base import errors
from doubleloop.settings.model import Settings

_SCHEMES = ("mailto", "mailtos")
UNSET = "Set DOUBLELOOP_MAIL_URL where the server starts: without it the host of each mailbox is asked on port 25."


def is_mailbox(target: str) -> bool:
    return "@" in target and "://" not in target


def address(settings: Settings, mailbox: str) -> tuple[str, str]:
    """``mailbox`` as an address of apprise, and the host of the mail server that the installation names, or none.

    Raises InvalidInput when that is no address of one, Unavailable when its file cannot be read.
    """
    server = _server(settings)
    if not server:
        return f"mailto://{mailbox}", ""
    parts = urllib.parse.urlsplit(server)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise errors.InvalidInput(
            "DOUBLELOOP_MAIL_URL names no mail server",
            cure="Write mailtos://USER:PASSWORD@smtp.example.com:587?from=doubleloop@example.com.",
        )
    sign = "&" if parts.query else "?"
    return f"{server}{sign}to={urllib.parse.quote(mailbox, safe='')}", parts.hostname


def _server(settings: Settings) -> str:
    if not settings.mail_url_file:
        return settings.mail_url.strip()
    try:
        return Path(settings.mail_url_file).read_text().strip()
    except (OSError, ValueError) as error:
        raise errors.Unavailable(f"DOUBLELOOP_MAIL_URL_FILE cannot be read: {error}") from None
