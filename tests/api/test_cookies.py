"""The console's session cookie is no key for other pages that the same browser has open."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from doubleloop.api import requests


def asked(method: str, **headers: str) -> Request:
    found = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": method, "path": "/", "headers": found, "query_string": b""})


COOKIE = f"{requests.SESSION_COOKIE}=secret"


def test_a_page_can_be_looked_at_with_the_cookie() -> None:
    assert requests.secret_of(asked("GET", cookie=COOKIE)) == "secret"


@pytest.mark.parametrize("site", [None, "cross-site", "same-site", "none"])
def test_nothing_is_changed_for_a_page_that_is_not_ours(site: str | None) -> None:
    more = {"sec_fetch_site": site} if site else {}
    assert requests.secret_of(asked("POST", cookie=COOKIE, **more)) is None


def test_a_page_of_ours_may_change_things() -> None:
    assert requests.secret_of(asked("POST", cookie=COOKIE, sec_fetch_site="same-origin")) == "secret"


def test_a_token_counts_wherever_it_comes_from() -> None:
    assert requests.secret_of(asked("DELETE", authorization="Bearer t", sec_fetch_site="cross-site")) == "t"
