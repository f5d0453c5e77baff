"""No form of the console does anything for a page that is not this session's own, and no page changes anything."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from console_scene import PASSWORD, Browser, Scene
from fastapi.routing import APIRoute
from test_console_pages import PAGES

from doubleloop.api import routing
from doubleloop.console import pages
from doubleloop.events import queries as events

APP = pages.create(None, None)  # type: ignore[arg-type]
ROUTES = [each for each in routing.api_routes(APP) if isinstance(each, APIRoute)]
FORMS = sorted({each.path for each in ROUTES if (each.methods or set()) - {"GET", "HEAD"}})
PLACES = {
    "/jobs/{ws}/{id}": {"ws": "dev", "id": "bikes-training-1"}, "/endpoints": {"ws": "prod", "name": "bikes"},
    "/monitors": {"ws": "prod", "name": "bikes-monitor"},
    "/labeling": {"ws": "dev", "name": "mails"}, "/releases": {"id": "release-two"},
    "/activations": {"id": "activation-1"}, "/alerts": {"ws": "prod", "id": "alert-1"},
}  # fmt: skip
FIELDS = {
    "decision": "reject",
    "do": "resolve",
    "comment": "no",
    "user": "grace",
    "password": PASSWORD,
    "evidence_digest": "0" * 64,
}

Token = Callable[[Browser, Browser], str]


def place(path: str) -> str:
    known = next((names for start, names in PLACES.items() if path.startswith(start)), {})
    return re.sub(r"\{(\w+)\}", lambda found: known[found[1]], path)


def record(scene: Scene) -> list[Any]:
    """All that happened but refusals, and the logins of the test itself."""
    with scene.house.read("service:setup", None) as ctx:
        found = events.facts(ctx, limit=1000, newest_first=True)
    return [each.seq for each in found if each.type not in ("access.denied", "session.started", "secret.revealed")]


def own(browser: Browser, _other: Browser) -> str:
    return browser.form_token("/" if browser.cookies.get("doubleloop_session") else "/login")


@pytest.fixture(scope="module")
def two(scene: Scene) -> tuple[Browser, Browser]:
    app = pages.create(scene.contexts, scene.settings)
    return Browser(app, "grace"), Browser(app, "grace")


def test_every_form_is_known_here() -> None:
    assert {path.rpartition("/")[2] for path in FORMS} == {
        "login", "logout", "cancel", "retry", "decision", "key", "run", "change", "take", "say", "review", "export",
        "close", "train", "label",
    }  # fmt: skip


@pytest.mark.parametrize("path", FORMS)
def test_a_form_of_another_page_does_nothing(scene: Scene, two: tuple[Browser, Browser], path: str) -> None:
    browser, other = two
    session, foreign = own(browser, other), own(other, browser)
    assert session != foreign
    before = record(scene)
    attempts: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, {}), ({"csrf": ""}, {}), ({"csrf": foreign}, {}), ({"csrf": session[:-1]}, {}), ({"csrf": "é"}, {}),
        ({"csrf": session}, {"sec-fetch-site": "cross-site"}), ({"csrf": session}, {"sec-fetch-site": "same-site"}),
    ]  # fmt: skip
    for fields, headers in attempts:
        answer = browser.post(place(path), data={**FIELDS, **fields}, headers=headers)
        assert answer.status_code == 400, (path, fields, headers, answer.text)
        assert "nothing was done" in answer.text
    as_text = f"csrf={session}".encode()
    for kind in ("text/plain", "application/json"):
        answer = browser.post(place(path), content=as_text, headers={"content-type": kind})
        assert answer.status_code == 400, (path, kind)
    assert record(scene) == before


@pytest.mark.parametrize("path", [each for each in FORMS if each != "/login"])
def test_a_form_without_a_session_leads_to_the_login(scene: Scene, two: tuple[Browser, Browser], path: str) -> None:
    stranger = Browser(pages.create(scene.contexts, scene.settings))
    before = record(scene)
    answer = stranger.post(place(path), data={**FIELDS, "csrf": own(*two)})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert record(scene) == before


def test_the_right_form_is_let_through(scene: Scene) -> None:
    """As far as the question who may: without this the tests above would hold for a console that refuses everything."""
    nobody = Browser(pages.create(scene.contexts, scene.settings), "nobody")
    for path in FORMS:
        if path in ("/login", "/logout"):
            continue
        data = {**FIELDS, "csrf": own(nobody, nobody)}
        answer = nobody.post(place(path), data=data, headers={"sec-fetch-site": "same-origin"})
        assert answer.status_code == 403, (path, answer.text)


def test_looking_changes_nothing(scene: Scene, two: tuple[Browser, Browser]) -> None:
    before = record(scene)
    for page in PAGES:
        two[0].get(page)
    assert record(scene) == before
    for path in FORMS:
        answer = two[0].get(place(path), params={**FIELDS, "csrf": own(*two)})
        assert path == "/login" or answer.status_code in (404, 405), path
    assert record(scene) == before
