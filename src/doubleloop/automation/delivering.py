"""Sending a message once: a delivery is claimed before it is sent and noted after, so that a kill in between is seen.

What a claim without an end means cannot be known from here: the message may have left. ``at_most_once`` leaves it then
and says so (people would read it twice); ``at_least_once`` sends it again under the same id, by which the receiver
knows that it has it. Answers that refuse, and connections that never were, are no such doubt: both send those again.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable

import httpx

from doubleloop.automation import store
from doubleloop.base import actors, errors
from doubleloop.db.context import Contexts

ACTOR = actors.service("automation")
AT_MOST_ONCE, AT_LEAST_ONCE = "at_most_once", "at_least_once"
# httpx's errors of a request that never left; after any other it may have arrived.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL)
# The same in what apprise logs of the errors of its libraries.
_UNSENT_WORDS = (
    "NewConnectionError", "ConnectTimeout", "NameResolutionError", "Connection refused", "Name or service not known",
    "No route to host", "Network is unreachable", "SSLCertVerificationError", "is not allowed",
)  # fmt: skip
# What apprise says when a mail server did not come as far as taking a message: connecting, securing, logging in.
_NO_SERVER = "Connection error while submitting email"
# What a mail server or a web server answered, in what apprise logs: (550, b'no such user'), error=404.
_MAIL_REPLY = re.compile(r"\((\d{3}), b['\"]")
_WEB_REPLY = re.compile(r"\berror=(\d{3})\b")
LATER = (408, 425, 429)  # of the web's 4xx: it may be taken another time
_MAY_HAVE_ARRIVED = "whether it arrived is not known, and it is not sent twice"


class Doubtful(Exception):
    """It may have arrived, and it may not."""


def once(
    contexts: Contexts, workspace: str | None, key: str, promise: str, send: Callable[[bool], str], name: str
) -> str:
    """Send what ``key`` names unless that is done; returns what ``send`` returned, then or now.

    ``send`` is told whether it may have been sent before, and raises Doubtful when that is so now. ``name`` is how the
    receiver is called in errors. Raises Failed when it must not be sent again, and what ``send`` raises.
    """
    before = _claim(contexts, workspace, key, promise, name)
    if before is not None and before.state == "sent":
        return before.answer
    again = before is not None and before.state == "claimed"
    try:
        answer = send(again)
    except Doubtful as error:
        if promise == AT_LEAST_ONCE:
            raise errors.Unavailable(str(error)) from error  # the claim stands: the next is a repetition
        _end(contexts, workspace, key, "unknown", f"{error}: {_MAY_HAVE_ARRIVED}")
        raise errors.Failed(f"{error}: {_MAY_HAVE_ARRIVED}") from error
    except errors.Failed as error:
        _end(contexts, workspace, key, "declined", error.what)
        raise
    except Exception as error:
        _end(contexts, workspace, key, "claimed" if again else "refused", str(error))
        raise
    _end(contexts, workspace, key, "sent", answer)
    return answer


def _claim(
    contexts: Contexts, workspace: str | None, key: str, promise: str, name: str
) -> store.Delivery | None:  # fmt: skip
    """How it stood before, now claimed unless it is done. Raises Failed for what stays in doubt, or was refused for
    good."""
    with contexts.write(ACTOR, workspace) as ctx:
        before = store.delivery(ctx, key)
        if before is None or before.state == "refused" or (before.state == "claimed" and promise == AT_LEAST_ONCE):
            store.claim_delivery(ctx, key)
        elif before.state == "claimed":
            why = f"The process was stopped while it sent to {name}: {_MAY_HAVE_ARRIVED}"
            store.end_delivery(ctx, key, "unknown", why)
            before = store.delivery(ctx, key)
    if before is not None and before.state in ("unknown", "declined"):
        raise errors.Failed(before.answer)
    return before


def _end(contexts: Contexts, workspace: str | None, key: str, state: str, answer: str) -> None:
    with contexts.write(ACTOR, workspace) as ctx:
        store.end_delivery(ctx, key, state, answer)


def post(url: str, content: bytes, headers: dict[str, str], seconds: float) -> httpx.Response:
    """Raises Doubtful when the request may have arrived although no answer came, httpx's errors when it did not."""
    try:
        return httpx.post(url, content=content, headers=headers, timeout=seconds)
    except _UNSENT:
        raise
    except httpx.HTTPError as error:
        raise Doubtful(str(error) or type(error).__name__) from error


class Heard(logging.Handler):
    """What apprise says of one message: it answers no more than whether all went well."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._thread = threading.get_ident()
        self._said: list[str] = []
        self._logger = logging.getLogger("apprise")

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._said.append(record.getMessage())

    def __enter__(self) -> Heard:
        # Its debug lines hold what is sent and where to: they are for this alone, not for the log of the process.
        self._logger.propagate = False
        self._logger.setLevel(logging.DEBUG)
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)

    @property
    def in_doubt(self) -> bool:
        """Whether a connection broke that may have carried the message. A server that answered leaves no doubt."""
        if any(_NO_SERVER in each for each in self._said):
            return False
        broken = [each for each in self._said if "Socket Exception" in each and not _MAIL_REPLY.search(each)]
        return any(not any(word in each for word in _UNSENT_WORDS) for each in broken)

    @property
    def answered(self) -> int | None:
        """The code that a server answered with: 535 of mail, 404 of the web."""
        found = (_MAIL_REPLY.search(each) or _WEB_REPLY.search(each) for each in self._said)
        return next((int(each[1]) for each in found if each), None)

    @property
    def refused(self) -> bool:
        """Whether a server refused the message for good: 5xx of mail (RFC 5321, 4.2.1), 4xx of the web but for LATER. A
        mail server that lets nobody in (a wrong password) has refused no message."""
        if any(_NO_SERVER in each for each in self._said):
            return False
        mail = [int(found[1]) for each in self._said if (found := _MAIL_REPLY.search(each))]
        web = [int(found[1]) for each in self._said if (found := _WEB_REPLY.search(each))]
        return any(code >= 500 for code in mail) or any(400 <= code < 500 and code not in LATER for code in web)
