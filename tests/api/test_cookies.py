"""The console's session cookie is no key for other pages that the same browser has open."""

from __future__ import annotations

import pytest
from api_server import Prepared, Served
from starlette.requests import Request
from test_every_route import ROUTES, action, error, fill

from doubleloop.api import requests, routing


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


def test_no_route_that_changes_something_takes_the_cookie_from_another_page(served: Served, prepared: Prepared) -> None:
    """All routes over real HTTP, with the cookie of an administrator and what a browser says of a foreign page."""
    cookie = f"{requests.SESSION_COOKIE}={served.tokens['admin']}"
    asked = 0
    for method, route in ROUTES:
        if method == "GET" or action(route) == routing.OPEN:
            continue
        for site, kind in (("cross-site", "text/plain"), ("same-site", "application/json"), ("", "")):
            status, headers, body = served.raw(
                method, fill(route.path, prepared.places), None, b"{}", cookie=cookie, sec_fetch_site=site,
                content_type=kind, origin="https://evil.example",
            )  # fmt: skip
            assert status == 401, (method, route.path, site, body)
            assert error(body)["code"] == "not_authenticated"
            assert not {name.lower() for name in headers} & {"set-cookie", "access-control-allow-origin"}
            asked += 1
    assert asked > 180
    mlflow = "/mlflow/w/dev/api/2.0/mlflow/runs/create"
    assert served.raw("POST", mlflow, None, b"{}", cookie=cookie, sec_fetch_site="cross-site")[0] == 401


def test_no_other_page_is_told_that_it_may_ask_or_read(served: Served) -> None:
    preflight = {"origin": "https://evil.example", "access_control_request_method": "POST"}
    for path in ("/api/v1/users", "/api/v1/login", "/mlflow/api/2.0/mlflow/runs/create"):
        status, headers, _ = served.raw("OPTIONS", path, None, **preflight)
        assert status in (401, 405) and not [name for name in headers if name.lower().startswith("access-control")]


def test_the_cookie_of_our_own_page_is_taken(served: Served) -> None:
    cookie = f"{requests.SESSION_COOKIE}={served.tokens['admin']}"
    body = b'{"name": "joan"}'
    status, _, answer = served.raw(
        "POST",
        "/api/v1/users",
        None,
        body,
        cookie=cookie,
        sec_fetch_site="same-origin",
        content_type="application/json",
    )
    assert status == 200, answer
