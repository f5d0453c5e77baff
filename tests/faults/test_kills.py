"""Whatever is killed, and whenever: a release ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import faults_findings as findings
import faults_plan as plans
import pytest
from faults_site import AUTHOR, DEFINITION, ENDPOINT, LOOK, PROD, Site, installation, until

from doubleloop.base import errors
from doubleloop.events import queries as events
from doubleloop.gateway import log as inference_log
from doubleloop.gateway import protocol
from doubleloop.main import home as homes
from doubleloop.releases import model as releases
from doubleloop.sdk import client

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("DOUBLELOOP_FAULT_SEED", "20260127"))
RELEASES = int(os.environ.get("DOUBLELOOP_FAULT_RELEASES", "6"))
EACH = int(os.environ.get("DOUBLELOOP_FAULT_KILLS", "5"))
LONGEST_S = 900.0
MORE = ["worker", "api", "gateway", "all", "supervisor"]
BODY = json.dumps({"input_data": {"columns": ["distance", "minutes"], "data": [[3.0, 12.0]]}}).encode()


class Asker:
    """Asks the production endpoint now and then, as a user would, and keeps what it heard."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key
        self.heard: Counter[str] = Counter()
        self.answered: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def is_answered(self) -> bool:
        return self.ask() == "200"

    def ask(self) -> str:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._url, BODY, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                answer.read()
                self.answered.append(answer.headers["x-request-id"])
                return str(answer.status)
        except urllib.error.HTTPError as error:
            return str(error.code)
        except (OSError, ValueError) as error:
            return type(error).__name__

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            self.heard[self.ask()] += 1

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


class Story:
    """One release with its kills."""

    def __init__(self, site: Site, id_: str, planned: list[plans.Kill], draw: random.Random) -> None:
        self._site, self._id, self._draw = site, id_, draw
        self._planned = list(planned)
        self._due: list[tuple[float, plans.Kill]] = []
        self._seen: Counter[str] = Counter()
        self._after = site.facts()[-1].seq
        self._began = time.monotonic()
        self.killed: list[str] = []
        self.hard = 0
        self.checked_before = len(site.lines("checks_file"))
        self.approval: threading.Thread | None = None
        self.decided: list[int] = []

    def play(self) -> float:
        """Seconds it took. Fails when it does not end."""
        self._site.client(AUTHOR).releases.start(DEFINITION, id_=self._id)
        self._began = time.monotonic()
        self._due = [(self._began + kill.after, kill) for kill in self._planned if not kill.fact]
        while not self._turn():
            assert time.monotonic() < self._began + LONGEST_S, self._report()
            time.sleep(0.02)
        took = time.monotonic() - self._began
        if self.approval:
            self.approval.join()
        return took

    def _turn(self) -> bool:
        """Look at what was told, kill who is due; True at the end of the release."""
        for fact in self._site.facts(self._after):
            self._after = fact.seq
            self._seen[fact.type] += 1
            now = time.monotonic()
            self._due += [
                (now + kill.after, kill)
                for kill in self._planned
                if (kill.fact, kill.nth) == (fact.type, self._seen[fact.type])
            ]
            if fact.type == "release.waiting":
                self.approval = threading.Thread(target=self._approve, daemon=True)
                self.approval.start()
            if fact.subject == f"release:{self._id}" and fact.type.removeprefix("release.") in releases.ENDED:
                return True
        for moment, kill in sorted(self._due, key=lambda each: each[0]):
            if moment <= time.monotonic():
                self._due.remove((moment, kill))
                self._kill(kill)
        return False

    def _kill(self, kill: plans.Kill) -> None:
        victim = kill.victim
        who = self._site.kill(victim, self._draw)
        if not who:  # no command runs, no scorer, or it is just being started again
            victim = "worker"
            who = until(lambda: self._site.kill(victim, self._draw), "there is a worker to kill")
        self.killed.append(victim)
        self.hard += victim in plans.HARD
        self._site.say(f"{time.monotonic() - self._began:7.1f} s  kill -9 {who}: {kill}")
        if victim in ("supervisor", "all", "machine"):
            self._site.up()
            self._site.say(f"{time.monotonic() - self._began:7.1f} s  up again")

    def _approve(self) -> None:
        self.decided.append(self._site.approve(self._id))

    def _report(self) -> str:
        with self._site.contexts.read(LOOK) as ctx:
            told = [f"{each.seq} {each.type} {each.subject}" for each in events.facts(ctx, after=self._after - 20)]
        return f"release {self._id} does not end; last told: {told}; seed {SEED}"


@pytest.fixture(scope="module")
def draw() -> random.Random:
    return random.Random(SEED)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, draw: random.Random) -> Iterator[Site]:
    folder = Path(os.environ.get("DOUBLELOOP_FAULT_FOLDER") or tmp_path_factory.mktemp("faults"))
    folder.mkdir(exist_ok=True, parents=True)
    began = time.monotonic()
    with (folder / "story.log").open("a") as file:

        def say(text: str) -> None:
            line = f"[{time.monotonic() - began:7.1f}] {text}"
            print(line, flush=True)
            print(line, file=file, flush=True)

        say(f"seed {SEED}, {RELEASES} releases, {EACH} kills each")
        with installation(folder, draw, say) as site:
            yield site


@pytest.mark.timeout(3600)
def test_a_release_ends_the_same_wherever_its_processes_are_killed(site: Site, draw: random.Random) -> None:
    hands = plans.deck(draw, RELEASES, EACH)
    wanted, took, number, killed = RELEASES * EACH, 30.0, 0, Counter[str]()
    asker: Asker | None = None
    # A kill that was to come after the release's end has not come: there are more releases until all are done.
    while number < RELEASES or (killed.total() < wanted and number < 2 * RELEASES):
        hand = hands[number] if number < RELEASES else MORE[: wanted - killed.total()]
        number += 1
        story = Story(site, f"r{number}", plans.kills(draw, hand, took), draw)
        took = story.play()
        killed.update(story.killed)
        site.say(f"release {number} took {took:.0f} s with {len(story.killed)} kills, approved at try {story.decided}")
        _check(site, story, f"r{number}", number)
        asker = asker or _asker(site)
        until(asker.is_answered, "production answers")
    assert asker is not None
    asker.stop()
    site.say(f"{killed.total()} kills: {dict(killed)}; asked in between: {dict(asker.heard)}")
    assert killed.total() >= wanted
    _check_log(site, asker)
    _check_at_the_end(site, number)


def _asker(site: Site) -> Asker:
    endpoints = site.client(homes.ADMIN).workspace(PROD).endpoints
    return Asker(endpoints.show(ENDPOINT)["scoring_uri"], endpoints.keys(ENDPOINT)["primaryKey"])


def _check(site: Site, story: Story, id_: str, number: int) -> None:
    until(site.quiet, f"nothing is left to be done: {site.workflows().get('PENDING')}")
    assert site.workflows().keys() == {"SUCCESS"}, site.workflows()
    assert findings.of_release(site, id_, number) == findings.EXPECTED
    began, attempts = findings.runs(site, id_)
    assert began == attempts <= 1 + story.hard
    checked = len(site.lines("checks_file")) - story.checked_before
    assert 1 <= checked <= 1 + story.hard
    with pytest.raises(errors.Conflict):
        grace: client.Client = site.client("grace")
        grace.releases.approve(id_, grace.releases.evidence(id_)["digest"], "once more")
    assert len(story.decided) == 1


def _check_log(site: Site, asker: Asker) -> None:
    """Whatever was answered is in the log, once, although the gateway was killed."""
    until(lambda: _converged(site), "the gateway runs what is wanted")
    protocol.AdminClient(site.settings.home).flush()
    logged = Counter(inference_log.read(site.settings.home, PROD, ENDPOINT)["request_id"].to_list())
    assert {id_: logged[id_] for id_ in asker.answered if logged[id_] != 1} == {}
    assert set(asker.heard) <= {
        "200",
        "429",
        "502",
        "503",
        "504",
        "ConnectionResetError",
        "RemoteDisconnected",
        "URLError",
    }


def _converged(site: Site) -> bool:
    try:
        return protocol.read_status(site.settings.home).converged
    except errors.Unavailable:
        return False


def _check_at_the_end(site: Site, releases_: int) -> None:
    assert findings.others(site) == []
    # What served before stays to go back to at once; everything older is gone.
    assert findings.live(site) == [f"{PROD}/blue-r{number}" for number in (releases_ - 1, releases_)]
    with site.contexts.read(LOOK) as ctx:
        report = events.verify(ctx)
    assert report.whole, report.why
    site.down()
    assert site.alive() == {}
