"""Connecting under guard, whatever library connects and wherever a redirect or a name server leads it.

Python tells of every connection before it is made (the audit events ``socket.connect`` and ``socket.sendto``), with the
address that was resolved: it is judged there, so that a name which changes its meaning between two looks gains nothing.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import socket
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from doubleloop.base import errors
from doubleloop.outbound import rules

_CURE = (
    "The administrator can allow it: DOUBLELOOP_PRIVATE_ADDRESSES where the server starts, or private_addresses of the "
    "workspace in the setup file."
)


class Refused(OSError):
    """Raised inside of the library that would connect."""


@dataclass
class Guard:
    """What may be reached beside the internet, and what of it was refused so far."""

    allowances: Sequence[str] = ()
    also: set[tuple[str, int | None]] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)

    def check_host(self, host: str, port: int | None = None) -> None:
        """Look a name up, once. Raises NotPermitted when it leads only where nobody may go.

        A name that is allowed is followed wherever it leads. One that nobody knows is left to who connects.
        """
        try:
            found = {str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        except (OSError, UnicodeError):
            return
        if rules.allows_name(self.allowances, host):
            self.also |= {(each, None) for each in found}
            return
        if not any(self.allows(each, port) for each in found):
            raise _refusal(host, sorted(found))

    def check_url(self, url: str) -> None:
        """Raises InvalidInput for what is no http or https address, NotPermitted as ``check_host``."""
        self.check_host(rules.host_of(url))

    def allows(self, host: Any, port: int | None) -> bool:
        found = rules.address(str(host))
        known = {(str(host), None), (str(host), port)} & self.also
        return bool(known) or (found is not None and rules.allows(self.allowances, found))

    def raise_if_refused(self) -> None:
        """Raises NotPermitted: for libraries that keep the refusal to themselves."""
        if self.refused:
            raise _refusal(self.refused[-1], self.refused)

    def judge(self, address: Any) -> None:
        """Raises Refused; what is no internet address (a Unix socket, a name that was not resolved) is refused too."""
        host, port = address[:2] if isinstance(address, tuple) and len(address) >= 2 else (address, None)
        if not self.allows(host, port if isinstance(port, int) else None):
            self.refused.append(str(host))
            raise Refused(f"a connection to {host} is not allowed")


_GUARD: contextvars.ContextVar[Guard | None] = contextvars.ContextVar("doubleloop_outbound", default=None)


def _on_event(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        guard = _GUARD.get()
        if guard is not None and arguments[-1] is not None:
            guard.judge(arguments[-1])


@functools.cache
def _listen() -> None:
    """Hooks stay for the life of the process: one is enough."""
    sys.addaudithook(_on_event)


def allowances(private_addresses: str) -> tuple[str, ...]:
    """Those of the setting of that name. Raises InvalidInput for one that cannot be."""
    found = rules.split(private_addresses)
    rules.check(found)
    return found


@contextlib.contextmanager
def guarded(allowed: Sequence[str], *urls: str) -> Iterator[Guard]:
    """Within, this thread connects to the internet and to what is ``allowed``, and nowhere else.

    ``urls`` are looked up before. Raises InvalidInput and NotPermitted for them, and NotPermitted in place of whatever
    a library made of a refusal. Redirects are to be checked by who follows them, or fail when they connect.
    """
    _listen()
    guard = Guard(tuple(allowed))
    for url in urls:
        guard.check_url(url)
        _allow_proxy(guard, url)
    token = _GUARD.set(guard)
    try:
        yield guard
    except Exception as error:
        if guard.refused and not isinstance(error, errors.NotPermitted):
            raise _refusal(urls[0] if urls else guard.refused[-1], guard.refused) from error
        raise
    finally:
        _GUARD.reset(token)


def _allow_proxy(guard: Guard, url: str) -> None:
    """Where the machine goes out through a proxy, the proxy is connected to; what it is asked for was looked up."""
    scheme, _, _ = url.partition(":")
    proxy = urllib.request.getproxies().get(scheme)
    if proxy and not urllib.request.proxy_bypass(rules.host_of(url)):
        parts = urllib.parse.urlsplit(proxy if "//" in proxy else f"//{proxy}")
        with contextlib.suppress(OSError, ValueError):
            found = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
            guard.also |= {(str(each[4][0]), parts.port) for each in found}


def refuse_literal(allowed: Sequence[str], url: str) -> None:
    """Raise NotPermitted at once for an address that is written as a number (or ``localhost``), before any look-up."""
    host = rules.host_of(url)
    try:
        numbers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        numbers = []
    guard = Guard(tuple(allowed))
    found = [str(each[4][0]) for each in numbers] or (["127.0.0.1"] if _is_this_machine(host) else [])
    if found and not rules.allows_name(allowed, host) and not any(guard.allows(each, None) for each in found):
        raise _refusal(host, found)


def _is_this_machine(host: str) -> bool:
    name = host.rstrip(".").lower()
    return name == "localhost" or name.endswith(".localhost")


def _refusal(what: str, found: Sequence[str]) -> errors.NotPermitted:
    places = ", ".join(dict.fromkeys(found))
    leads = "" if places == what else f" (it leads to {places})"
    return errors.NotPermitted(f"{what} is not on the internet{leads}, and what is inside is not reached", cure=_CURE)
