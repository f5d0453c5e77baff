"""Images by their addresses, where the deployment allows it: under the guard that nothing inside is reached."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

from doubleloop.base import errors
from doubleloop.outbound import commands as outbound

_CHUNK = 1 << 16


def fetch(url: str, allowed: Sequence[str], most_bytes: int, seconds: float) -> bytes:
    """``allowed``: what may be reached beside the internet.

    Raises errors.NotPermitted for an address that leads inside, errors.InvalidInput for one that gives no such content,
    errors.TooLarge.
    """
    try:
        with outbound.guarded(allowed, url) as guard:
            opener = urllib.request.build_opener(_Redirects(guard))
            with opener.open(urllib.request.Request(url), timeout=seconds) as stream:
                return _read(stream, most_bytes)
    except urllib.error.HTTPError as error:
        raise _refused(f"the address answered {error.code} {error.reason}") from None
    except (OSError, ValueError) as error:  # urllib's, the socket's, and http.client's
        reason = getattr(error, "reason", error)
        said = "too late" if isinstance(reason, TimeoutError | socket.timeout) else str(reason)
        raise _refused(f"the address cannot be fetched: {said}") from None


def _read(stream: Any, most_bytes: int) -> bytes:
    parts, size = [], 0
    while part := stream.read(_CHUNK):
        parts.append(part)
        size += len(part)
        if size > most_bytes:
            raise errors.TooLarge(f"the image at the address has more than {most_bytes} bytes")
    return b"".join(parts)


def _refused(what: str) -> errors.InvalidInput:
    return errors.InvalidInput(what, cure="send the image itself, or an address that answers without a login")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Each step on the way is looked at like the first."""

    max_redirections = 3

    def __init__(self, guard: outbound.Guard) -> None:
        self._guard = guard

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        self._guard.check_url(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)
