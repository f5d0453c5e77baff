"""Which addresses are open to everybody, and which of the others are allowed: pure."""

from __future__ import annotations

import fnmatch
import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from doubleloop.base import errors

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

EVERYTHING = "*"
# Public by its number, yet it answers only inside of Azure: the host agent of a virtual machine.
_HOST_AGENTS = {ipaddress.ip_address("168.63.129.16")}
# IPv6 networks whose addresses stand for an IPv4 address, and how far right its 32 bits end (RFC 6052, 3056).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


def address(text: str) -> Address | None:
    """The address that a text is, without its zone; None for a name."""
    try:
        return ipaddress.ip_address(text.partition("%")[0].strip("[]"))
    except ValueError:
        return None


def meant(found: Address) -> tuple[Address, ...]:
    """The address, and those that it carries: IPv4 in IPv6, mapped, translated or tunnelled."""
    if isinstance(found, ipaddress.IPv4Address):
        return (found,)
    inner: list[Address | None] = [found.ipv4_mapped, found.sixtofour, *(found.teredo or ())]
    if found in _NAT64 or (found in _COMPATIBLE and int(found) > 1):
        inner.append(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
    return (found, *(each for each in inner if each is not None))


def is_public(found: Address) -> bool:
    """Whether it belongs to the internet at large: not loopback, private, link-local, shared, reserved, multicast."""
    carried = meant(found)
    # What carries another address is as public as that one; the prefix itself may be reserved (::ffff:0:0/96).
    judged = carried[1:] or carried
    return all(each.is_global and not each.is_multicast and each not in _HOST_AGENTS for each in judged)


def split(text: str) -> tuple[str, ...]:
    """The allowances of a setting: words with commas between."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def check(allowances: Iterable[str]) -> None:
    """Raises InvalidInput for what is neither an address, a network nor a host name."""
    for word in allowances:
        plain = word.removeprefix("*.").replace("-", "a").replace(".", "a").replace("_", "a")
        if word == EVERYTHING or _network(word) is not None or (plain.isascii() and plain.isalnum()):
            continue
        raise errors.InvalidInput(
            f"'{word[:80]}' is not an address that can be allowed",
            cure="Write an address, a network (10.1.0.0/16), a host name, *.a.domain, or * for all.",
        )


def _network(word: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(word, strict=False)
    except ValueError:
        return None


def allows_name(allowances: Iterable[str], host: str) -> bool:
    """Whether the name itself is allowed, wherever it leads."""
    name = host.rstrip(".").lower()
    return any(
        word == EVERYTHING or (_network(word) is None and fnmatch.fnmatchcase(name, word.lower()))
        for word in allowances
    )


def allows(allowances: Iterable[str], found: Address) -> bool:
    """Whether a connection to this address may be made: it is public, or in a network that is allowed.

    An IPv4 network also allows its addresses as IPv6 writes them.
    """
    if is_public(found):
        return True
    words = list(allowances)
    networks = [each for word in words if (each := _network(word)) is not None]
    judged = meant(found)
    return EVERYTHING in words or any(
        each in network for each in judged for network in networks if network.version == each.version
    )


def host_of(url: str) -> str:
    """The host of an http or https address. Raises InvalidInput for one that has none, or hides who is asked."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if not host or parts.scheme not in ("http", "https") or any(ord(each) <= 32 or ord(each) == 127 for each in url):
        raise errors.InvalidInput(f"'{url[:200]}' is not an http or https address")
    return host
