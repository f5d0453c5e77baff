"""Who may come in, and what keeps others out."""

from __future__ import annotations

import pytest
from console_scene import PASSWORD, Browser, Scene

from doubleloop.console import login, pages, rendering
from doubleloop.events import queries as events
from doubleloop.identity import limits


@pytest.fixture
def visitor(scene: Scene) -> Browser:
    return Browser(pages.create(scene.contexts, scene.settings))


def test_a_page_without_a_login_leads_to_the_form_and_back(visitor: Browser) -> None:
    answer = visitor.get("/releases?status=waiting")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/releases%3Fstatus%3Dwaiting")
    fields = {"user": "grace", "password": PASSWORD, "next": "/releases?status=waiting"}
    answer = visitor.send_form("/login", "/login", **fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/releases?status=waiting")
    assert visitor.get("/releases").status_code == 200


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(visitor: Browser) -> None:
    answer = visitor.send_form("/login", "/login", user="grace", password=PASSWORD)
    cookie = next(each for each in answer.headers.get_list("set-cookie") if each.startswith("doubleloop_session="))
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/" in cookie


@pytest.mark.parametrize(("user", "password"), [("grace", "no such secret"), ("not-there", PASSWORD), ("", "")])
def test_a_wrong_password_is_told_and_recorded(visitor: Browser, scene: Scene, user: str, password: str) -> None:
    answer = visitor.send_form("/login", "/login", user=user, password=password)
    assert answer.status_code == 401
    assert "User name or password is wrong" in answer.text
    assert password == "" or password not in answer.text
    with scene.house.read("linus", None) as ctx:
        assert events.facts(ctx, types=["access.denied"], newest_first=True)[0].subject == "route:POST /login"


def test_who_guesses_has_to_wait(scene: Scene) -> None:
    visitor = Browser(pages.create(scene.contexts, scene.settings))
    for _ in range(limits.TRIES):
        assert visitor.send_form("/login", "/login", user="eve", password="guess").status_code == 401
    answer = visitor.send_form("/login", "/login", user="eve", password=PASSWORD)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 200
    # Another name is not kept out by it.
    assert visitor.send_form("/login", "/login", user="grace", password=PASSWORD).status_code == 303


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil", "/login", "x", "/a\r\nb: c"])
def test_nobody_is_led_to_another_site(target: str) -> None:
    assert login.safe_next(target) == "/"


def test_a_form_without_its_token_does_nothing(visitor: Browser) -> None:
    answer = visitor.post("/login", data={"user": "grace", "password": PASSWORD})
    assert answer.status_code == 400
    assert "nothing was done" in answer.text
    token = visitor.form_token("/login")
    other = Browser(visitor._transport._inner.app)  # type: ignore[attr-defined]
    other.get("/login")
    assert other.post("/login", data={"csrf": token, "user": "grace", "password": PASSWORD}).status_code == 400


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_form_that_another_site_sends_does_nothing(scene: Scene, site: str) -> None:
    grace = Browser(pages.create(scene.contexts, scene.settings), "grace")
    token = grace.form_token("/")
    data = {"csrf": token, "decision": "approve", "evidence_digest": "x"}
    answer = grace.post(f"/releases/{scene.second}/decision", data=data, headers={"sec-fetch-site": site})
    assert (answer.status_code, scene.release(scene.second).status) == (400, "waiting")


def test_logging_out_ends_the_session(scene: Scene) -> None:
    grace = Browser(pages.create(scene.contexts, scene.settings), "grace")
    kept = grace.cookies["doubleloop_session"]
    assert grace.send_form("/", "/logout").headers["location"] == "/login"
    grace.cookies.set("doubleloop_session", kept)
    assert grace.get("/").status_code == 303


def test_every_answer_carries_the_headers_that_keep_scripts_and_frames_out(visitor: Browser) -> None:
    for path in ("/login", "/", "/nowhere", "/static/console.css"):
        answer = visitor.get(path)
        assert answer.headers["content-security-policy"] == rendering.POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in rendering.POLICY
