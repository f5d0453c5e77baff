"""Whatever people write, in every text that they may give, the pages show as text; and every answer says so again."""

from __future__ import annotations

import copy
import json
from typing import Any

import console_scene
import httpx
import pytest
from console_scene import SETUP, Browser, Scene
from test_console_pages import PAGES, Look

from doubleloop.base import errors
from doubleloop.catalog import commands as catalog
from doubleloop.console import pages, rendering
from doubleloop.endpoints import commands as endpoints
from doubleloop.endpoints import model as endpoint_model
from doubleloop.endpoints import queries as endpoint_queries
from doubleloop.endpoints import store as endpoint_store
from doubleloop.events import queries as events
from doubleloop.identity import commands as identity
from doubleloop.jobs import commands as jobs
from doubleloop.monitoring import commands as monitoring
from doubleloop.monitoring import workflows as monitoring_workflows
from doubleloop.releases import commands as releases
from doubleloop.specs import documents
from doubleloop.workspaces import commands as workspaces
from doubleloop.workspaces import model as places

HTML = "\"'></textarea><script>alert(1)</script><img src=x onerror=alert(1)>{{ 12347 * 54323 }}"
URL = "javascript:alert(1)"
QUOTED = HTML.replace("'", "''")
JOB = f"""
type: command
display_name: '{QUOTED}'
description: '{QUOTED}'
tags: {{link: '{URL}', other: '{QUOTED}', '{QUOTED}': x}}
command: echo '{HTML.replace("'", "")}' && exit 3
environment: azureml:base@latest
environment_variables: {{OTHER: '{QUOTED}'}}
"""
ENDPOINT = f"""
$schema: x/managedOnlineEndpoint.schema.json
name: odd
description: '{QUOTED}'
tags: {{link: '{URL}', other: '{QUOTED}'}}
"""


def poison(scene: Scene) -> None:
    """The payload in every text, given as people and programs give it."""
    house = scene.house
    with house.contexts.write(SETUP) as ctx:
        identity.create_user(ctx, "odd", HTML)
        workspaces.put(ctx, places.Workspace("odd", identity.model.WorkspaceKind.PREPRODUCTION, HTML, False))
    scene.submit(JOB, "odd-1")
    scene.until(lambda: scene.job_status("odd-1") == "failed")
    with house.write("ada", "dev") as ctx:
        endpoints.put_endpoint(ctx, documents.parse(ENDPOINT, "endpoint.yml", house.home))
    with house.write("service:releases", "prod") as ctx:
        (blue, *_) = endpoint_queries.deployments(ctx, "bikes")
        endpoints.set_traffic(ctx, "bikes", {blue.name: 0}, reason=HTML)
        endpoint_store.switch_status(ctx, blue, endpoint_model.Status.FAILED, error=HTML)
    for run in scene.tracking.runs.values():
        run["metrics"] = {**run.get("metrics", {}), HTML: 1.0}
        run["params"] = {**run.get("params", {}), HTML: HTML, "link": URL}
    _model(scene)
    _monitor(scene)
    with house.write("ada", "dev") as ctx:
        odd = releases.start(ctx, "bikes", model_version="2", id="release-odd").id
        releases.cancel(ctx, odd, HTML)
    scene.decide(scene.second, "reject", comment=HTML)


def _model(scene: Scene) -> None:
    columns = [{"name": HTML, "type": HTML, "required": True}]
    spec = {
        "reference": f"tree:sha256:{'0' * 64}", "flavor": HTML, "signature": {"inputs": columns, "outputs": columns},
        "authors": [HTML], "training_data": [], "run_id": next(iter(scene.tracking.runs)), "workspace": "dev",
        "description": HTML, "tags": {HTML: URL},
    }  # fmt: skip
    with scene.house.write("ada", "registry") as ctx:
        catalog.add(ctx, "model", "bikes", "3", "0" * 64, spec)


def _monitor(scene: Scene) -> None:
    odd = copy.deepcopy(console_scene.signals(2.0))
    for number, signal in enumerate(odd):
        signal |= {"signal": f"{HTML}{number}", "reason": HTML, "moved": [{"column": HTML, "sentence": HTML}]}
        for place, metric in enumerate(signal["metrics"]):
            metric |= {"column": f"{HTML}{place}", "reason": HTML, "metric": HTML}
    with scene.house.write("linus", "prod") as ctx:
        run = monitoring.run_now(ctx, "bikes-monitor", None, "bikes-monitor-odd")
    monitoring_workflows.record(scene.contexts, run.id, {"signals": odd})


def harmless(answer: httpx.Response) -> None:
    look = Look()
    look.feed(answer.text)
    assert look.inline == [], answer.url
    assert all(each.startswith(("/", "#")) and not each.startswith("//") for each in look.addresses), look.addresses
    for raw in ("<script>alert", "<img src=x", "</textarea><script", str(12347 * 54323)):
        assert raw not in answer.text, (answer.url, raw)


def safe(answer: httpx.Response) -> None:
    for name, text in rendering.HEADERS.items():
        assert answer.headers.get_list(name) == [text], (answer.url, name)


SHOWN = (
    "/jobs/dev", "/jobs/dev/odd-1", "/jobs/dev/odd-1/log?step=command",
    "/endpoints/prod/bikes", "/monitors/prod/bikes-monitor", "/models/bikes", "/releases/release-two",
    "/releases/release-odd", "/audit",
)  # fmt: skip
MORE = ("/endpoints/dev/odd", "/releases/release-odd", "/trace?id=odd-1", "/trace?id=bikes:3", f"/audit?actor={HTML}",
        f"/trace?id={HTML}", f"/releases?status={HTML}", f"/login?next={HTML}", f"/login?next={URL}", f"/{HTML}",
        f"/jobs/{HTML}", f"/jobs/dev/{HTML}", f"/jobs/dev/odd-1/log?step={HTML}")  # fmt: skip


def test_what_people_write_is_shown_as_text(own: Scene) -> None:
    poison(own)
    grace = Browser(pages.create(own.contexts, own.settings), "grace")
    silent: list[str] = []
    for page in dict.fromkeys((*PAGES, *SHOWN, *MORE)):
        answer = grace.get(page)
        harmless(answer)
        safe(answer)
        if page in SHOWN:
            assert answer.status_code == 200, (page, answer.text[-2000:])
            shown = "&lt;script&gt;alert(1)" in answer.text
            silent += [] if shown else [page]
    assert silent == [], "where the payload is not shown, nothing was tested"


@pytest.fixture(scope="module")
def browser(scene: Scene) -> Browser:
    return Browser(pages.create(scene.contexts, scene.settings), "grace")


@pytest.mark.parametrize(
    ("method", "page"),
    [("GET", "/static/console.css"), ("GET", "/static/none"), ("POST", "/logout"), ("PUT", "/jobs/dev"),
     ("GET", "/releases?status=odd"), ("GET", "/jobs/dev/none"), ("POST", "/jobs/dev/none/cancel"), ("HEAD", "/"),
     ("GET", "/nowhere"), ("OPTIONS", "/")],
)  # fmt: skip
def test_every_answer_brings_the_policy_also_a_refusal(browser: Browser, method: str, page: str) -> None:
    safe(browser.request(method, page))
    stranger = Browser(browser._transport._inner.app)  # type: ignore[attr-defined]
    safe(stranger.request(method, page))


@pytest.mark.parametrize("name", ["a\r\nx-evil: 1", "a\nx-evil: 1", "a\x1b[31mb", HTML, "..", "a/b", "é" * 200])
def test_a_step_or_job_or_endpoint_cannot_have_such_a_name(scene: Scene, name: str) -> None:
    texts: list[dict[str, Any]] = [
        {"name": name, "type": "command", "command": "x", "environment": "azureml:base@latest"},
        {"type": "pipeline", "jobs": {name: {"type": "command", "command": "x", "environment": "azureml:base@latest"}}},
    ]
    for body in texts:
        with pytest.raises(errors.DoubleloopError), scene.house.write("ada", "dev") as ctx:
            jobs.submit(ctx, documents.parse(json.dumps(body), "job.yml", scene.house.home))
    with pytest.raises(errors.DoubleloopError):
        schema = "x/managedOnlineEndpoint.schema.json"
        documents.parse(json.dumps({"$schema": schema, "name": name}), "endpoint.yml", scene.house.home)


def test_a_line_break_in_an_address_begins_no_line_of_the_record(browser: Browser, scene: Scene) -> None:
    for page in ("/jobs/prod/x%0d%0aFORGED", "/jobs/prod%0aFORGED", "/endpoints/prod/a%1b%5b31mFORGED"):
        answer = browser.get(page)
        assert answer.status_code in (403, 404)
        assert "forged" not in {name.lower() for name in answer.headers}
    with scene.house.read("service:setup", None) as ctx:
        told = [each.subject for each in events.facts(ctx, types=["access.denied"], limit=1000)]
    assert not [each for each in told if not each.isprintable()]
