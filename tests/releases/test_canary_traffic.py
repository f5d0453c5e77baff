"""A canary before a real gateway and real scorers: what callers were answered decides whether it goes on."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from doubleloop.base import canonical, errors
from doubleloop.gateway import protocol
from doubleloop.releases import model

pytestmark = pytest.mark.slow

KEY = "a-key-of-this-endpoint"
PLACE = "prod/bikes-live"
GOOD = "def init(): pass\n\ndef run(text): return [1.0]\n"
# Every second request fails: healthy enough to start, and to answer many.
BROKEN = """
def init():
    global count
    count = 0

def run(text):
    global count
    count += 1
    if count % 2:
        raise ValueError("out of range")
    return [2.0]
"""


class Live:
    """Serves the release's traffic with scripts, and sends ``requests`` before each look at what was answered."""

    def __init__(self, site: Any, home: Path, scripts: dict[str, str], wrong: int, right: int) -> None:
        self.site, self.home, self.wrong, self.right = site, home, wrong, right
        self.seen: dict[str, Counter[int]] = {}
        for name, text in scripts.items():
            (home / name).mkdir(parents=True)
            (home / name / "score.py").write_text(text)
        self._calm = site.serving.status
        self._generation = 0
        self._wanted: dict[str, int] = {}

    def status(self) -> protocol.Status:
        with contextlib.suppress(errors.NotFound):
            traffic = self.site.traffic()
            if len(traffic) > 1:
                self._serve(traffic)
                self._send()
                return protocol.read_status(self.home)
        return self._calm()  # type: ignore[no-any-return]

    def _serve(self, traffic: dict[str, int]) -> None:
        if traffic == self._wanted:
            return
        self._generation, self._wanted = self._generation + 1, traffic
        deployments = {name: self._deployment(name) for name in traffic}
        place = protocol.Endpoint(deployments, traffic, keys_sha256=(canonical.sha256(KEY),))
        protocol.write_desired(self.home, protocol.Desired(self._generation, {PLACE: place}))
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            with contextlib.suppress(errors.Unavailable):
                status = protocol.read_status(self.home)
                if status.converged and status.generation == self._generation:
                    return
            time.sleep(0.05)
        raise AssertionError((self.home / "gateway.log").read_text()[-3000:])

    def _deployment(self, name: str) -> protocol.Deployment:
        return protocol.Deployment(
            id=name, python=sys.executable, model_dir=str(self.home / name), model="bikes", model_version="1",
            kind="script", code_dir=str(self.home / name), scoring_script="score.py",
        )  # fmt: skip

    def _send(self) -> None:
        address = json.loads((self.home / "serving" / "address.json").read_bytes())
        with httpx.Client(headers={"authorization": f"Bearer {KEY}", "content-type": "application/json"}) as client:
            for index in range(self.wrong + self.right):
                body = "{" if index < self.wrong else "[1]"
                answer = client.post(f"http://127.0.0.1:{address['port']}/{PLACE}/score", content=body)
                name = answer.headers["azureml-model-deployment"]
                self.seen.setdefault(name, Counter())[answer.status_code] += 1


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Path]:
    """The home of a gateway process."""
    home = tmp_path / "gateway"
    home.mkdir()
    with (home / "gateway.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "doubleloop.gateway", "--home", str(home)], stdout=log, stderr=log
        )
    yield home
    process.terminate()
    process.wait(60)


def released(site: Any, version: str) -> model.Release:
    site.register(version)
    return site.through(site.start(version).id)  # type: ignore[no-any-return]


def live(site: Any, home: Path, candidate: str, *, wrong: int, right: int) -> Live:
    site.define()
    assert released(site, "1").status == "completed"
    made = Live(site, home, {"blue-r1": GOOD, "blue-r2": candidate}, wrong, right)
    site.serving.status = made.status
    return made


def test_failing_answers_among_many_bad_requests_move_traffic_back_to_the_former_champion(
    site: Any, gateway: Path
) -> None:
    made = live(site, gateway, BROKEN, wrong=100, right=400)
    ended = released(site, "3")
    assert ended.status == "rolled_back", ended.reasons
    assert made.seen["blue-r2"][500] > 0 and made.seen["blue-r1"][500] == 0
    # A worker of its own counts in each process, so about half fail: which ones were sent there is drawn by weight.
    rate = re.search(r"error rate (0\.\d+) is above 0\.01", ended.reasons[0])
    assert rate and 0.2 < float(rate[1]) < 0.8, ended.reasons
    assert "requests failed" in ended.reasons[0]
    assert (site.traffic(), site.champion()) == ({"blue-r1": 100}, "2")
    assert site.deployments() == ["blue-r1"]
    (told,) = site.facts(ended.id, "release.rolled_back")
    assert told.data["reasons"] == list(ended.reasons)


def test_a_good_candidate_is_not_sent_back_for_its_callers_mistakes(site: Any, gateway: Path) -> None:
    live(site, gateway, GOOD, wrong=50, right=250)
    ended = released(site, "3")
    assert ended.status == "completed", ended.reasons
    said = " ".join(word for fact in site.facts(ended.id, "release.baked") for word in fact.data["said"])
    assert "error rate 0.0000" in said and "refused (4xx)" in said
