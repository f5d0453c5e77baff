"""The id under which a request is logged, labelled and traced: the caller's if it can serve, else ours."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping

from doubleloop.base import ids

HEADERS = (b"x-ms-client-request-id", b"x-request-id")
SANE = re.compile(rb"^[A-Za-z0-9][A-Za-z0-9._:-]{7,127}$")
REMEMBERED = 200_000


class RequestIds:
    """A caller's id is taken when it is 8 to 128 letters, digits or ``._:-`` and was not used lately; otherwise
    two requests would share one row of the log. The answer's ``x-request-id`` says which id counts."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def choose(self, headers: Mapping[bytes, bytes]) -> str:
        for name in HEADERS:
            given = headers.get(name)
            if given is not None and SANE.match(given) and given not in self._seen:
                self._seen[given] = None
                if len(self._seen) > REMEMBERED:
                    self._seen.popitem(last=False)
                return given.decode()
        return ids.new_id("req")
