"""Every page shows what is there, to whom may see it, and does what its forms say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from console_scene import PASSWORD, SETUP, Browser, Scene
from fastapi import FastAPI

from doubleloop.base import actors
from doubleloop.console import pages, pictured
from doubleloop.cost import commands as cost
from doubleloop.db import engine, tables
from doubleloop.db.context import Contexts
from doubleloop.endpoints import commands as endpoints
from doubleloop.events import queries as events
from doubleloop.events.readings import Memory
from doubleloop.gateway import paths, protocol
from doubleloop.identity import commands as identity
from doubleloop.identity.limits import Limiter
from doubleloop.identity.ports import WorkspaceKinds
from doubleloop.identity.strangers import Strangers
from doubleloop.monitoring import queries as monitoring
from doubleloop.releases import model
from doubleloop.secrets.local import FileKeys
from doubleloop.secrets.ports import Keys
from doubleloop.settings.model import Settings
from doubleloop.specs import documents
from doubleloop.workspaces import declared
from doubleloop.workspaces.queries import Kinds

PAGES = [
    "/", "/releases", "/releases/release-one", "/releases/release-two", "/jobs/dev", "/jobs/dev/bikes-training-1",
    "/jobs/dev/bikes-training-1?step=train", "/jobs/dev/broken-1", "/endpoints", "/endpoints/prod/bikes", "/monitors",
    "/monitors/prod/bikes-monitor", "/alerts", "/alerts?all=true", "/budgets", "/labeling",
    "/models/bikes", "/data", "/audit", "/audit/chain", "/trace", "/trace?id=release-one",
    "/trace?id=bikes:1", "/nowhere",
]  # fmt: skip

As = Callable[[str], Browser]


@pytest.fixture(scope="module")
def as_(scene: Scene) -> As:
    known: dict[str, Browser] = {}
    app = pages.create(scene.contexts, scene.settings)
    return lambda user: known.setdefault(user, Browser(app, user))


class Look(HTMLParser):
    """What a page refers to, and what a strict policy would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.addresses: list[str] = []
        self.labelled: set[str] = set()
        self.fields: list[dict[str, str | None]] = []
        self.headings: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        self.addresses += [
            str(given[name]) for name in ("src", "href", "action", "hx-get", "hx-post") if given.get(name)
        ]
        if tag == "label":
            self.labelled.add(given.get("for") or "")
        if tag in ("input", "select", "textarea") and given.get("type") != "hidden":
            self.fields.append(given)
        if re.fullmatch(r"h\d", tag):
            self.headings.append(tag)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_whole_escaped_and_stays_on_this_machine(as_: As, page: str) -> None:
    answer = as_("grace").get(page)
    assert answer.status_code == (404 if page == "/nowhere" else 200), answer.text
    look = Look()
    look.feed(answer.text)
    assert look.inline == []
    assert all(address.startswith(("/", "#")) and not address.startswith("//") for address in look.addresses)
    assert all(field.get("id") in look.labelled for field in look.fields)
    if page != "/audit/chain":
        assert look.headings[0] == "h1" and look.headings.count("h1") == 1
        assert "<html lang" in answer.text


def test_an_alert_has_buttons_for_who_may_and_they_do_what_they_say(as_: As, scene: Scene) -> None:
    with scene.house.read("linus", "prod") as ctx:
        alert = next(each for each in monitoring.alerts(ctx, "bikes-monitor", only_open=True) if each.details["moved"])
    page = f"/alerts/prod/{alert.id}"
    seen = as_("grace").get(page).text  # a lead reads what was measured in production
    assert "temperature: mean 15.1" in seen and "data scientist" in seen and "Acknowledge" not in seen
    assert as_("ada").get(page).status_code == 200 and as_("nobody").get(page).status_code == 403
    refused = as_("grace").post(f"{page}/change", data={"do": "resolve", "csrf": as_("grace").form_token("/")})
    assert refused.status_code == 403
    browser = as_("linus")
    assert "Acknowledge" in browser.get(page).text and page in browser.get("/alerts").text

    def press(**fields: str) -> Any:
        return browser.post(f"{page}/change", data={**fields, "csrf": browser.form_token("/")})

    assert press(do="silence", span="2h", comment="<b>soon</b>").status_code == 303
    text = browser.get(page).text
    assert "Silenced until" in text and "&lt;b&gt;soon" in text and "linus" in text
    for wrong in ({"do": "silence", "span": "soon"}, {"do": "silence", "span": "99999999d"}, {"do": "explode"}):
        assert press(**wrong).status_code == 400
    assert press(do="reopen").status_code == 303 and press(do="acknowledge").status_code == 303
    assert "acknowledged" in browser.get("/monitors/prod/bikes-monitor").text
    assert press(do="reopen").status_code == 303
    assert browser.get("/alerts/prod/none").status_code == 404


def test_the_worst_examples_of_an_alert_are_looked_at_by_who_may(as_: As, scene: Scene) -> None:
    alert, address, photo = scene.keep_example()
    page = as_("linus").get(f"/alerts/prod/{alert.id}").text
    assert address in page and "photo of r-1" in page
    part = as_("linus").get(address).text
    assert f"data:image/png;base64,{photo}" in part and "&lt;b&gt;x" in part and "/trace?id=r-1" in part
    assert "cat" in part
    assert address not in as_("ada").get(f"/alerts/prod/{alert.id}").text
    assert as_("ada").get(address).status_code == 403
    assert as_("linus").get(address[:-1] + "7").status_code == 404
    form = {"project": "photos", "to": "dev", "csrf": as_("ada").form_token("/")}
    assert as_("ada").post(f"/alerts/prod/{alert.id}/label", data=form).status_code == 403


@pytest.mark.parametrize(
    ("value", "picture"),
    [([[0.0, 1.0], [0.5, 0.25]], True), ([[0, 255], [7, 8]], True), ([0.1, 0.2, 0.3], False), ("a bike", False)],
)
def test_pixels_are_drawn_and_vectors_and_texts_are_written(value: Any, picture: bool) -> None:
    found = pictured.shown({"column": "x", "inputs": {"x": value, "blob": b"12"}, "outputs": {"y": 1}})
    assert bool(found["picture"]) is picture and bool(found["text"]) is not picture
    assert found["values"] == [("blob", "2 bytes"), ("answer: y", "1")]


def test_what_people_wrote_cannot_become_a_script(as_: As) -> None:
    page = as_("grace").get("/jobs/dev/broken-1").text
    assert "&lt;script&gt;alert" in page and "<script>alert" not in page
    log = as_("grace").get("/jobs/dev/broken-1/log?step=command").text
    assert "&lt;script&gt;alert" in log and "<script>alert" not in log


def test_the_overview_tells_a_models_whole_life(as_: As, scene: Scene) -> None:
    text = as_("grace").get("/").text
    for part in ("Release 2 of bikes:2", "Decide", "rides:1", "bikes-training", "champion prod", "blue-r1",
                 "<b>100 %</b>", "bikes-monitor", "2 open", "waits for project lead"):  # fmt: skip
        assert part in text, part


def test_who_may_not_see_production_is_told_so_and_sees_the_rest(as_: As) -> None:
    text = as_("ada").get("/").text
    assert "not yours to see in prod" in text
    assert "blue-r1" not in text
    assert "Look</a>" in text and "Decide</a>" not in text


@pytest.mark.parametrize(
    ("user", "page", "missing"),
    [
        ("nobody", "/audit", "audit.read"), ("ada", "/endpoints/prod/bikes", "endpoint.read"),
        ("ada", "/jobs/prod", "job.read"), ("nobody", "/releases/release-one", "release.read"),
        ("nobody", "/models/bikes", "model.read"), ("eve", "/trace?id=release-one-deploy1", "endpoint.read"),
        ("nobody", "/audit/chain", "audit.read"), ("nobody", "/jobs", "job.read"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_is_missing_and_is_recorded(
    as_: As, scene: Scene, user: str, page: str, missing: str
) -> None:
    answer = as_(user).get(page)
    assert answer.status_code == 403
    assert "Not permitted" in answer.text and missing in answer.text
    with scene.house.read("linus", None) as ctx:
        newest = events.facts(ctx, types=["access.denied"], newest_first=True)[0]
    assert (newest.actor, newest.subject) == (user, f"route:GET {page.partition('?')[0]}")


def test_the_record_is_shown_for_the_workspaces_whose_record_one_may_read(as_: As) -> None:
    text = as_("ada").get("/audit").text
    assert "ada" in text and "/audit?" in text
    assert as_("ada").get("/audit?workspace=prod").status_code == 403


@pytest.mark.parametrize(
    "page",
    ["/releases/none", "/jobs/dev/none", "/endpoints/prod/none", "/monitors/prod/none", "/models/none", "/jobs/none",
     "/trace?id=none", "/jobs/staging/bikes-training-1"],
)  # fmt: skip
def test_what_is_not_there_is_a_page_with_a_cure(as_: As, page: str) -> None:
    answer = as_("linus").get(page)
    assert answer.status_code == 404
    assert "What helps:" in answer.text or "Give a request id" in answer.text


def test_before_there_is_any_workspace_the_jobs_say_so(tmp_path: Path) -> None:
    db = engine.create(f"sqlite:///{tmp_path / 'new.sqlite'}")
    tables.METADATA.create_all(db)
    ports: dict[type[Any], Any] = {
        Settings: Settings(home=tmp_path), WorkspaceKinds: Kinds(), Keys: FileKeys(tmp_path / "secret.key"),
    }  # fmt: skip
    contexts = Contexts(db, ports)
    with contexts.write(SETUP) as ctx:
        identity.create_user(ctx, "admin", is_admin=True)
        identity.set_password(ctx, "admin", PASSWORD)
    admin = Browser(pages.create(contexts, ports[Settings]), "admin")
    answer = admin.get("/jobs")
    assert answer.status_code == 404 and "There is no workspace yet" in answer.text
    assert "There is no model yet" in admin.get("/").text
    assert {admin.get(page).status_code for page in ("/releases", "/endpoints", "/monitors", "/audit")} == {200}
    db.dispose()


def test_bad_parameters_are_told(as_: As) -> None:
    assert as_("grace").get("/releases?status=odd").status_code == 400
    assert as_("grace").get("/audit?before=x").status_code == 400
    assert as_("grace").get("/jobs/dev?after=x").status_code == 400


def test_a_release_shows_its_evidence_with_its_hashes_and_what_was_decided(as_: As, scene: Scene) -> None:
    text = as_("grace").get(f"/releases/{scene.first}").text
    for part in (
        "3 model files hold no unsafe code",
        "fits what is kept",
        "latency ms · p99",
        "looks good",
        "took all traffic",
    ):
        assert part in text, part
    assert "decision" not in text


def test_who_may_not_decide_reads_why_and_has_no_form(as_: As, scene: Scene) -> None:
    page = f"/releases/{scene.second}"
    assert f'action="{page}/decision"' in as_("grace").get(page).text
    for user, why in [("ada", "none allows release.approve"), ("linus", "none allows release.approve")]:
        text = as_(user).get(page).text
        assert "You cannot decide this." in text and why in text and f'action="{page}/decision"' not in text
        answer = as_(user).send_form(page, f"{page}/decision", decision="approve", evidence_digest="x" * 64)
        assert answer.status_code == 403
    assert scene.release(scene.second).status == "waiting"


def test_a_decision_on_evidence_that_was_not_shown_is_refused_and_keeps_the_comment(as_: As, scene: Scene) -> None:
    page = f"/releases/{scene.second}"
    grace = as_("grace")
    answer = grace.send_form(
        page, f"{page}/decision", decision="approve", evidence_digest="0" * 64, comment="all <good>"
    )
    assert answer.status_code == 409
    assert "Look at the evidence again" in answer.text and "all &lt;good&gt;</textarea>" in answer.text
    answer = grace.send_form(page, f"{page}/decision", decision="reject", evidence_digest=_digest(answer.text))
    assert answer.status_code == 400 and "A rejection needs a comment" in answer.text
    assert scene.release(scene.second).status == "waiting"


def _digest(page: str) -> str:
    found = re.search(r'name="evidence_digest" value="([0-9a-f]{64})"', page)
    assert found
    return found[1]


@pytest.mark.parametrize(("decision", "end"), [("approve", "completed"), ("reject", "rejected")])
def test_a_decision_takes_the_release_on(own: Scene, decision: str, end: str) -> None:
    grace = Browser(pages.create(own.contexts, own.settings), "grace")
    page = f"/releases/{own.second}"
    shown = grace.get(page).text
    seen = re.search(r"pulse\?seen=(\d+)", shown)
    assert seen
    assert "hx-refresh" not in grace.get(f"{page}/pulse?seen={seen[1]}").headers
    fields = {"decision": decision, "evidence_digest": _digest(shown), "comment": "seen it all"}
    answer = grace.send_form(page, f"{page}/decision", **fields)
    assert (answer.status_code, answer.headers["location"]) == (303, page)
    own.until(lambda: own.release(own.second).status in model.ENDED)
    assert own.release(own.second).status == end
    assert grace.get(f"{page}/pulse?seen={seen[1]}").headers["hx-refresh"] == "true"
    after = grace.get(page).text
    assert "seen it all" in after and "evidence_digest" not in after


def test_a_log_comes_in_pieces_until_its_end(as_: As) -> None:
    grace = as_("grace")
    whole = grace.get("/jobs/dev/bikes-training-1/log?step=train").text
    assert "fitting 300 trees" in whole and "hx-get" not in whole
    later = grace.get("/jobs/dev/bikes-training-1/log?step=train&offset=40").text
    assert whole.endswith(later) and len(later) < len(whole)
    assert grace.get("/jobs/dev/bikes-training-1/log?step=none").status_code == 404


def test_a_job_shows_its_graph_and_where_things_went(as_: As) -> None:
    text = as_("grace").get("/jobs/dev/bikes-training-1?step=evaluate").text
    assert text.count('class="node ok') == 5
    labels = re.findall(r'class="edge-label"[^>]*>([^<]+)<', text)
    assert sorted(labels) == ["holdout", "model", "model", "report", "table", "train"]
    assert 'aria-label="Step evaluate: completed" aria-current="true"' in text
    assert "from train" in text and "/models/bikes#v1" in text


def test_a_job_can_be_cancelled_by_who_may_and_only_then(own: Scene) -> None:
    app = pages.create(own.contexts, own.settings)
    job = own.submit("{type: command, command: sleep 600, environment: azureml:base@latest}", "sleeper")
    own.until(lambda: own.job_status(job) == "running")
    eve, ada = Browser(app, "eve"), Browser(app, "ada")
    page = f"/jobs/dev/{job}"
    live = ada.get(page).text
    assert f'hx-get="{page}/state?step=command"' in live
    assert "running" in ada.get(f"{page}/state?step=command").text
    assert ada.get(f"{page}/log?step=command").text.count("hx-trigger") == 1
    assert eve.post(f"{page}/cancel", data={"csrf": eve.form_token("/")}).status_code == 403
    assert ada.send_form(page, f"{page}/cancel").status_code == 303
    own.until(lambda: own.job_status(job) == "cancelled")
    assert ada.get(f"{page}/state").headers["hx-refresh"] == "true"
    assert "Cancelled by" in ada.get(page).text


def test_the_key_is_shown_to_who_may_have_it_and_only_when_asked(as_: As, scene: Scene) -> None:
    page = "/endpoints/prod/bikes"
    shown = as_("linus").get(page).text
    assert "••••" in shown
    revealed = as_("linus").send_form(page, f"{page}/key").text
    key = re.search(r"Bearer ([\w-]{43})", revealed)
    assert key and key[1] not in shown
    grace = as_("grace").get(page).text
    assert "not yours to see" in grace and "endpoint.keys" in grace
    assert as_("grace").send_form(page, f"{page}/key").status_code == 403
    assert as_("linus").get(f"{page}/key").status_code == 405


def test_an_endpoint_shows_what_it_answers_and_says_when_nobody_knows(as_: As, scene: Scene) -> None:
    text = as_("linus").get("/endpoints/prod/bikes/state").text
    assert "18\u202f240" in text and "6.02 ms" in text and "Traffic: blue-r1 100 %" in text
    scene.serving.away = True
    try:
        assert "No gateway answers" in as_("linus").get("/endpoints/prod/bikes").text
    finally:
        scene.serving.away = False


def test_a_monitor_hands_its_series_to_the_chart(as_: As) -> None:
    text = as_("grace").get("/monitors/prod/bikes-monitor").text
    found = [json.loads(_unescape(each)) for each in re.findall(r'data-chart="([^"]+)"', text)]
    assert [(len(each["times"]), each["threshold"], [line["label"] for line in each["lines"]]) for each in found] == [
        (14, 90.0, ["rmse"]), (14, 0.2, ["temperature", "day_type", "hour"]),
    ]  # fmt: skip
    assert "temperature: mean 15.1" in text
    assert "Run now" not in text and "Run now" in as_("linus").get("/monitors/prod/bikes-monitor").text


def _unescape(text: str) -> str:
    return text.replace("&#34;", '"').replace("&quot;", '"').replace("&amp;", "&").replace("&#39;", "'")


def test_a_monitor_can_be_run_by_who_may(own: Scene) -> None:
    linus = Browser(pages.create(own.contexts, own.settings), "linus")
    page = "/monitors/prod/bikes-monitor"
    assert linus.send_form(page, f"{page}/run").status_code == 303
    text = linus.get(page).text
    seen = re.search(r"pulse\?seen=([^\"]+)", text)
    assert seen and "hx-refresh" not in linus.get(f"{page}/pulse?seen={seen[1]}").headers
    assert linus.get(f"{page}/pulse?seen=other").headers["hx-refresh"] == "true"


def test_a_model_shows_metrics_champion_and_signature(as_: As) -> None:
    text = as_("grace").get("/models/bikes").text
    for part in ("55.71", "0.872", "champion prod", "temperature", "optional", "release-one", "300"):
        assert part in text, part


def test_the_audit_is_filtered_paged_and_verified(as_: As, scene: Scene) -> None:
    grace = as_("grace")
    text = grace.get("/audit?type=monitor.completed&workspace=prod").text
    assert text.count("monitor.completed bikes") == 0 and text.count("bikes-monitor ran") == 14
    assert "No fact fits" in grace.get("/audit?actor=no-one").text
    older = re.search(r'href="(/audit\?[^"]*before=\d+)"', grace.get("/audit").text)
    assert older and grace.get(_unescape(older[1])).status_code == 200
    assert "seals hold" in grace.get("/audit/chain").text


def test_a_request_is_explained_to_the_end(as_: As, scene: Scene) -> None:
    hour = datetime(2026, 11, 1, 8, tzinfo=UTC)
    folder = paths.deployment_log(scene.house.home, "prod", "bikes", "blue-r1") / "2026/11/01/08"
    folder.mkdir(parents=True)
    row: dict[str, Any] = {
        "request_id": "req-1", "row": 0, "time": hour, "status": 200, "latency_ms": 4.2, "deployment": "blue-r1",
        "deployment_id": "release-one-deploy1", "in.hour": 8, "out.prediction": 512.5,
        "pieces": 7, "time_to_first_piece_ms": 1.25,
    }  # fmt: skip
    pl.DataFrame([row]).write_parquet(folder / "one.parquet")
    text = as_("linus").get("/trace?id=req-1").text
    for part in ("prod/bikes answered 200 in 4.2 ms", "hour = 8", "prediction = 512.5",
                 "7 pieces, the first after 1.25 ms", "bikes:1", "bikes-training-1",
                 "rides:1 @production", "data quality passed", "grace at", "sealed log"):  # fmt: skip
        assert part in text, part


def test_the_console_stands_beside_the_api_and_leaves_its_paths_alone(scene: Scene) -> None:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/api/v1/thing")
    def thing() -> dict[str, int]:
        return {"one": 1}

    app.state.limiter, app.state.strangers, app.state.readings = Limiter(), Strangers(), Memory()
    pages.mount(app, scene.contexts, scene.settings)
    visitor = Browser(app)
    assert visitor.get("/api/v1/thing").json() == {"one": 1}
    assert visitor.get("/api/v1/none").json() == {"detail": "Not Found"}
    assert visitor.post("/api/v1/thing").status_code == 405
    assert visitor.get("/mlflow/none").json() == {"detail": "Not Found"}
    assert visitor.get("/apiary").headers["content-type"].startswith("text/html")
    assert visitor.get("/").headers["location"] == "/login"
    assert Browser(app, "grace").get("/").status_code == 200


def test_every_route_names_its_action() -> None:
    app = pages.create(None, None)  # type: ignore[arg-type]
    found = _routes(app.routes)
    assert len(found) > 25
    for route in found:
        assert (route.openapi_extra or {}).get("x-action"), route.path


def _routes(routes: Any) -> list[Any]:
    found: list[Any] = []
    for route in routes:
        inner = getattr(getattr(route, "original_router", None), "routes", None) or getattr(route, "routes", None)
        if inner:
            found += _routes(inner)
        elif hasattr(route, "openapi_extra"):
            found.append(route)
    return found


def test_vendored_files_keep_their_licences() -> None:
    names = {each.name for each in pages.STATIC.iterdir()}
    assert {"htmx.min.js", "htmx.LICENSE.txt", "uPlot.iife.min.js", "uPlot.min.css", "uPlot.LICENSE.txt"} <= names


def test_budgets_show_what_is_spent_and_on_what(as_: As, scene: Scene) -> None:
    with scene.house.write("service:setup", None) as ctx:
        declared.put(ctx, "compute", "local", {"type": "local", "price_per_hour": 90000})
        said = {"currency": "EUR", "period": "year", "alert_at": [100], "notify": []}
        declared.put(ctx, "budget", "answers", {**said, "workspace": "prod", "amount": 0.01})
        declared.put(ctx, "budget", "foreign", {**said, "workspace": "prod", "amount": 10, "currency": "USD"})
    assert cost.judge(scene.contexts) == 1
    page = as_("grace").get("/budgets").text
    assert "of 0.01 EUR" in page and "/endpoints/prod/bikes" in page and "100 % actual" in page
    assert "the price of compute local is in EUR" in page
    assert as_("nobody").get("/budgets").text.count("of 0.01 EUR") == 0


def test_an_endpoint_shows_its_objectives_and_what_is_left_of_their_budgets(as_: As, scene: Scene) -> None:
    assert "Objectives" not in as_("linus").get("/endpoints/prod/bikes").text

    def put(slo: str) -> None:
        text = f"name: bikes\ndescription: Rides an hour\n{slo}"
        document = documents.parse(text, "e.yml", scene.settings.home, kind="online_endpoint")
        with scene.contexts.write(actors.Actor("linus"), "prod") as ctx:
            endpoints.put_endpoint(ctx, document)

    put("slo: {latency: {target: 99, threshold_ms: 250}}")
    scene.serving.objectives = (
        protocol.Objective("latency", 99.0, 250.0, 2000, 98.5, False, 20.0, 30, -10.0, 150.0, {"5m": None, "1h": 14.4}),
    )
    try:
        text = as_("linus").get("/endpoints/prod/bikes/state").text
        for said in ("over P28D", "latency ≤ 250 ms", "99 %", "98.500 %", "20.0", "30 (150 %)", "-10.0", "14.40"):
            assert said in text, said
        scene.serving.away = True
        assert "Objectives" not in as_("linus").get("/endpoints/prod/bikes").text
    finally:
        scene.serving.away, scene.serving.objectives = False, ()
        put("")
