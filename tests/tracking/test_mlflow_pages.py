"""MLflow's own pages in a real browser: who is logged in to the console sees their workspace's runs, and no other's."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from api_server import SETUP, Served, running

from doubleloop.api import app
from doubleloop.console import pages
from doubleloop.identity import commands as identity

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (apt-get install chromium)"),
]
WAIT_MS = 60_000
PASSWORD = "correct horse battery"
API = "/api/2.0/mlflow"


@pytest.fixture
def site(two: Served) -> Iterator[str]:
    """API, MLflow's door and console on one address, as the product serves them."""
    with two.contexts.write(SETUP) as ctx:
        for user in ("sun", "moon"):
            identity.set_password(ctx, user, PASSWORD)
    whole = app.create(two.contexts, two.settings)
    pages.mount(whole, two.contexts, two.settings)
    with running(whole, port=0) as server:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


def log_run(site: str, token: str, place: str) -> tuple[str, str]:
    """The id of an experiment of the workspace with one run, and the name of both."""
    name = f"{place}light-{secrets.token_hex(4)}"
    with httpx.Client(base_url=f"{site}/mlflow/w/{place}", headers={"authorization": f"Bearer {token}"}) as client:
        experiment = str(client.post(f"{API}/experiments/create", json={"name": name}).json()["experiment_id"])
        run = client.post(f"{API}/runs/create", json={"experiment_id": experiment, "run_name": name, "start_time": 1})
        assert run.status_code == 200, run.text
    return experiment, name


def come(browser: Any, site: str, user: str, path: str) -> Any:
    """A page of somebody who was sent to the login first and came back to where they wanted to go."""
    page = browser.new_context().new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(site + path)
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site}{path}**")
    return page


def test_runs_are_seen_in_the_workspace_of_ones_own_and_not_in_anothers(two: Served, site: str) -> None:
    experiment, name = log_run(site, two.tokens["moon"], "night")
    own = log_run(site, two.tokens["sun"], "day")[1]
    with playwright.sync_playwright() as runner:
        browser = runner.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        moon = come(browser, site, "moon", "/mlflow/w/night/")
        moon.goto(f"{site}/mlflow/w/night/#/experiments/{experiment}/runs")
        playwright.expect(moon.get_by_text(name).nth(1)).to_be_visible(timeout=WAIT_MS)  # its title, and its run

        sun = come(browser, site, "sun", "/mlflow/w/day/")
        sun.goto(f"{site}/mlflow/w/day/#/experiments")
        playwright.expect(sun.get_by_text(own).first).to_be_visible(timeout=WAIT_MS)
        assert name not in sun.content()
        with sun.expect_response(lambda answer: answer.status == 404 and "mlflow" in answer.url):
            sun.goto(f"{site}/mlflow/w/day/#/experiments/{experiment}/runs")
        assert name not in sun.content()
        refused = sun.goto(f"{site}/mlflow/w/night/")
        assert refused.status == 403 and name not in sun.content()
        browser.close()
