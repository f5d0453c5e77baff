"""An installation with a life behind it: a trained model, a release that went through and one that waits, a monitor
with weeks of runs. Rooms, rules, job steps, evidence are real; measurements, deployments and the gateway are told."""

from __future__ import annotations

import asyncio
import base64
import math
import re
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import uvicorn

import databases
from doubleloop.base import actors, canonical, clock, errors
from doubleloop.catalog import commands as catalog
from doubleloop.compute import ports as compute_ports
from doubleloop.compute.local import LocalCompute
from doubleloop.console import pages
from doubleloop.data import commands as data
from doubleloop.db.context import Contexts
from doubleloop.durable import commands as durable
from doubleloop.durable.fake import EagerEngine, EagerFlow
from doubleloop.endpoints import model as endpoint_model
from doubleloop.endpoints import ports as endpoint_ports
from doubleloop.endpoints import store as endpoint_store
from doubleloop.environments import commands as environments
from doubleloop.environments import model as pins
from doubleloop.environments import store as environment_store
from doubleloop.frames import pictures
from doubleloop.gateway import histogram, protocol
from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities
from doubleloop.jobs import commands as jobs
from doubleloop.jobs import ports as job_ports
from doubleloop.jobs import queries as job_queries
from doubleloop.jobs import workflows as job_workflows
from doubleloop.monitoring import commands as monitoring
from doubleloop.monitoring import queries as watched
from doubleloop.monitoring import store as monitoring_store
from doubleloop.monitoring import workflows as monitoring_workflows
from doubleloop.releases import commands as releases
from doubleloop.releases import fake, model, ports, queries, rolling, workflows
from doubleloop.secrets import ports as secrets
from doubleloop.secrets.local import FileKeys
from doubleloop.settings.model import Settings
from doubleloop.specs import documents
from doubleloop.storage import ports as storage
from doubleloop.tracking import ports as tracking_ports
from doubleloop.tracking.fake import MemoryTracking

LOCK = pins.Lock("3.11", ("mlflow==3.17.2", "scikit-learn==1.9.0"), "linux-x86_64")
PASSWORD = "correct horse battery"
DARK = np.full((4, 6), 20, dtype=np.uint8)
SETUP = actors.service("setup")
TRAINING = """
type: pipeline
display_name: bikes-training
experiment_name: bikes
jobs:
  prep:
    command: echo "reading rides" && echo rows=18012 > ${{outputs.table}}
    environment: azureml:base@latest
    outputs: {table: {type: uri_file}}
  split:
    command: cat ${{inputs.table}} && echo train > ${{outputs.train}} && echo test > ${{outputs.holdout}}
    environment: azureml:base@latest
    inputs: {table: "${{parent.jobs.prep.outputs.table}}"}
    outputs: {train: {type: uri_file}, holdout: {type: uri_file}}
  train:
    command: echo "fitting 300 trees" && cat ${{inputs.rows}} && echo model > ${{outputs.model}}
    environment: azureml:base@latest
    inputs: {rows: "${{parent.jobs.split.outputs.train}}"}
    outputs: {model: {type: uri_file}}
  evaluate:
    command: echo "rmse 55.7" && cat ${{inputs.model}} ${{inputs.rows}} && echo 55.7 > ${{outputs.report}}
    environment: azureml:base@latest
    inputs: {model: "${{parent.jobs.train.outputs.model}}", rows: "${{parent.jobs.split.outputs.holdout}}"}
    outputs: {report: {type: uri_file}}
  register:
    command: cat ${{inputs.model}} ${{inputs.report}}
    environment: azureml:base@latest
    inputs: {model: "${{parent.jobs.train.outputs.model}}", report: "${{parent.jobs.evaluate.outputs.report}}"}
"""
FAILING = """
type: command
display_name: broken
command: echo "about to fail" && echo "<script>alert('log')</script>" && exit 3
environment: azureml:base@latest
"""
DEFINITION = """
$schema: doubleloop/release
name: bikes
model: azureml:bikes
stages:
  - workspace: staging
    deployment: {name: blue, endpoint_name: bikes-test, model: azureml:bikes:1}
    checks:
      - {type: scan}
      - {type: data_quality, data: azureml:rides@production, contract: {columns: {hour: {type: integer}}}}
      - type: model_quality
        data: azureml:holdout:1
        target: count
        metric: rmse
        at_most: 80
        champion: {tolerance: 0.02}
      - {type: endpoint_performance, rate: 50, duration: 10s, p99_ms: 250}
  - workspace: prod
    approval: {personas: [project_lead], count: 1, expires: 7d}
    deployment: {name: blue, endpoint_name: bikes, model: azureml:bikes:1}
    rollout: {steps: [10, 50, 100], bake: 10s, abort: {error_rate: 0.01, p99_ms: 500}}
    monitor:
      name: bikes-monitor
      trigger: {type: cron, expression: "0 6 * * 1"}
      create_monitor:
        compute: {instance_type: standard_e4s_v3, runtime_version: "3.4"}
        monitoring_target: {ml_task: regression, endpoint_deployment_id: azureml:bikes:blue}
"""
CONDA = "dependencies: [python=3.11, {pip: [polars]}]"
SIGNATURE = {
    "inputs": [
        {"name": "hour", "type": "long", "required": True},
        {"name": "temperature", "type": "double", "required": True},
        {"name": "day_type", "type": "string", "required": False},
    ],
    "outputs": [{"name": "count", "type": "double", "required": True}],
}


@dataclass(frozen=True)
class Ready:
    lock_digest: str
    python: Path


class ThisPython:
    """Environments that are there already: the interpreter of the tests."""

    def prepare(
        self,
        contexts: Contexts,
        actor: actors.Actor,
        workspace: str,
        environment: str | Mapping[str, Any],
        progress: Callable[[str], None],
    ) -> Ready:
        progress("the environment is there")
        return Ready(LOCK.digest, Path(sys.executable))


class Serving:
    """A gateway whose deployments have answered what a test says."""

    def __init__(self) -> None:
        self.answers: dict[str, protocol.DeploymentStatus] = {}
        self.objectives: tuple[protocol.Objective, ...] = ()
        self.away = False
        self.logged = pl.DataFrame()

    def inferences(self, *_: Any, **__: Any) -> pl.DataFrame:
        return self.logged

    def lock(self) -> Any:
        return nullcontext()

    def publish(self, endpoints: Any) -> int:
        return 1

    def status(self) -> protocol.Status:
        if self.away:
            raise errors.Unavailable("No gateway answers")
        places: dict[str, Any] = {}
        for where, status in self.answers.items():
            workspace, endpoint, name = where.split("/")
            places.setdefault(f"{workspace}/{endpoint}", {})[name] = status
        return protocol.Status(1, True, endpoints={
            k: protocol.EndpointStatus({}, v, self.objectives) for k, v in places.items()
        })  # fmt: skip

    def flush(self) -> None: ...

    def folder(self, kind: str) -> Path:
        return Path("/nowhere") / kind

    def say(self, where: str, median_ms: float, requests: int, broken: int = 0) -> None:
        """Answers spread log-normally round a median."""
        counts = histogram.empty()
        for index in range(requests):
            spread = math.sqrt(-2 * math.log((index + 0.5) / requests)) * math.cos(index * 2.399963)
            histogram.add(counts, median_ms * math.exp(0.35 * spread))
        counters = protocol.Counters(requests=requests, server_errors=broken, client_errors=3, latency=tuple(counts))
        self.answers[where] = protocol.DeploymentStatus("d", "ready", instances=1, ready_instances=1, counters=counters)


class Flow(EagerFlow):
    """The time of a bake passes at once; for people, jobs and deployments it stands still."""

    async def wait(self, topic: str, timeout: float) -> Any:
        if topic != rolling.TOPIC:
            return await super().wait(topic, timeout)
        await asyncio.sleep(0.005)
        return None


class Engine(EagerEngine):
    async def _finish(self, workflow_id: str, body: Any, argument: dict[str, Any]) -> None:
        try:
            self.results[workflow_id] = await body(Flow(workflow_id, self), argument)
        except Exception as error:
            self.results[workflow_id] = error


@dataclass
class Scene:
    """``first`` and ``second`` are ids of releases, ``job`` of the training job, ``broken`` of a failed one."""

    house: Any
    serving: Serving
    tracking: MemoryTracking
    engine: EagerEngine
    first: str = ""
    second: str = ""
    job: str = ""
    broken: str = ""
    _stopping: threading.Event = field(default_factory=threading.Event)
    _worker: threading.Thread | None = None

    @property
    def contexts(self) -> Contexts:
        found: Contexts = self.house.contexts
        return found

    @property
    def settings(self) -> Settings:
        found: Settings = self.house.ports[Settings]
        return found

    def release(self, id_: str) -> model.Release:
        with self.house.read("grace", None) as ctx:
            return queries.find(ctx, id_)

    def submit(self, text: str, id_: str) -> str:
        with self.house.write("ada", "dev") as ctx:
            return jobs.submit(ctx, documents.parse(text, "job.yml", self.house.home), id=id_).id

    def keep_example(self) -> tuple[Any, str, str]:
        """An image of the inference log that the newest alert keeps: the alert, where the image is shown, base64."""
        at, photo = datetime(2026, 3, 1, tzinfo=UTC), base64.b64encode(pictures.png(DARK)).decode()
        row = {"request_id": "r-1", "row": 0, "time": at, "in.photo": photo, "in.note": "<b>x</b>"}
        self.serving.logged = pl.DataFrame([{**row, "out.prediction": "cat"}])
        kept = {"request": "r-1", "row": 0, "time": clock.iso(at), "column": "photo", "distance": 9.0,
                "sentence": "photo of r-1 row 0 is 9 deviations from the nearest of the reference"}  # fmt: skip
        with self.house.write("service:setup", "prod") as ctx:
            found = watched.alerts(ctx, "bikes-monitor")
            alert = next(each for each in found if each.details["moved"])
            run = watched.run(ctx, alert.details["run"])
            signals = [{**each, "examples": [kept]} if each["signal"] == alert.signal else each for each in run.signals]
            runs = monitoring_store.RUNS
            ctx.tx.execute(runs.update().where(runs.c.id == run.id).values(signals=canonical.dumps(signals)))
            details = {**alert.details, "examples": [kept], "examples_of": alert.signal}
            monitoring_store.update_alert(ctx, alert.id, details=canonical.dumps(details))
        return alert, f"/monitors/prod/bikes-monitor/examples/{run.id}/{alert.signal}/0", photo

    def until(self, is_done: Callable[[], bool], seconds: float = 120) -> None:
        """Look until something is so. Raises AssertionError when it takes too long."""
        databases.until(self.contexts.engine, is_done, seconds)

    def work(self) -> None:
        """Carry out everything in a thread until ``stop``."""

        async def forever() -> None:
            while not self._stopping.is_set():
                self.engine.pump_once()
                await asyncio.sleep(0.03)

        self._worker = threading.Thread(target=lambda: asyncio.run(forever()), name="engine", daemon=True)
        self._worker.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._worker:
            self._worker.join(10)

    def job_status(self, id_: str) -> str:
        with self.house.read() as ctx:
            return job_queries.show(ctx, id_).status.value

    def decide(self, id_: str, decision: str = "approve", user: str = "grace", comment: str = "looks good") -> None:
        with self.house.read("grace", None) as ctx:
            asked = queries.approvals(ctx, id_)[-1]
        verb = releases.approve if decision == "approve" else releases.reject
        with self.house.write(user, None) as ctx:
            verb(ctx, id_, comment, asked.evidence_digest)

    def register(self, version: str, job: str | None = None, run: str | None = None) -> None:
        blobs = self.contexts.port(storage.Blobs)
        content = f"version {version}".encode()
        entry = storage.Entry("MLmodel", blobs.put_bytes(content), len(content))
        digest = blobs.put_entries((entry,)).sha256
        spec = {
            "reference": f"tree:sha256:{digest}", "flavor": "mlflow", "signature": SIGNATURE, "authors": ["ada"],
            "training_data": ["data:registry/rides:1"], "run_id": run, "workspace": "dev", "step": "register",
        }  # fmt: skip
        with self.contexts.write(actors.Actor("ada"), "registry") as ctx:
            asset = catalog.add(ctx, "model", "bikes", version, digest, spec, job=job)
            if job:
                catalog.link(ctx, f"step:{job}/register", "registered", asset.id)

    def measure(self, week: int, as_of: datetime, drift: float) -> None:
        """One run of the monitor, with the values of a week in which things have moved by ``drift``."""
        with self.house.write("linus", "prod") as ctx:
            run = monitoring.run_now(ctx, "bikes-monitor", as_of, f"bikes-monitor-w{week:02d}")
        monitoring_workflows.record(self.contexts, run.id, {"signals": signals(drift)})


def signals(drift: float) -> list[dict[str, Any]]:
    def measured(metric: str, column: str, value: float, threshold: float) -> dict[str, Any]:
        crossed = value > threshold
        return {
            "metric": metric,
            "column": column,
            "value": value,
            "threshold": threshold,
            "alert": crossed,
            "reason": "",
        }

    columns = {"temperature": 0.05 + drift * 0.5, "hour": 0.02, "day_type": 0.03 + drift * 0.1}
    moved = [{"column": "temperature", "sentence": f"temperature: mean 15.1 → {15.1 + 6 * drift:.1f}, p90 27 → 31"}]
    rmse = 55 + 70 * drift
    drifted = [measured("jensen_shannon_distance", name, value, 0.2) for name, value in columns.items()]
    return [
        {"signal": "drift", "type": "data_drift", "status": "alert" if columns["temperature"] > 0.2 else "ok",
         "reason": "", "reference_rows": 18012, "production_rows": 168, "metrics": drifted, "moved": moved},
        {"signal": "accuracy", "type": "model_performance", "status": "alert" if rmse > 90 else "ok", "reason": "",
         "reference_rows": 168, "production_rows": 168, "metrics": [measured("rmse", "", rmse, 90.0)], "moved": []},
    ]  # fmt: skip


def build(house: Any) -> Scene:
    """The whole scene on a house."""
    serving, tracking = Serving(), MemoryTracking()
    house.ports |= {
        compute_ports.Compute: LocalCompute(house.home),
        endpoint_ports.Serving: serving,
        job_ports.Environments: ThisPython(),
        ports.Measuring: _measuring(),
        secrets.Keys: FileKeys(house.home / "secret.key"),
        tracking_ports.Tracking: tracking,
    }
    house.contexts.ports.update(house.ports)
    scene = Scene(house, serving, tracking, Engine(house.contexts, {}))
    scene.engine._workflows = {
        **job_workflows.WORKFLOWS, **workflows.WORKFLOWS, "endpoints.deploy": _deploying(scene),
        "endpoints.publish": _nothing, "monitoring.run": _nothing,
    }  # fmt: skip
    scene.work()
    _people(house)
    _data(house)
    _train(scene)
    _release(scene)
    _watch(scene)
    return scene


def _people(house: Any) -> None:
    with house.contexts.write(SETUP) as ctx:
        for user in ("ada", "grace", "linus", "eve"):
            identity.set_password(ctx, user, PASSWORD)
        identity.create_user(ctx, "nobody")
        identity.set_password(ctx, "nobody", PASSWORD)
        identity.put_group(ctx, identities.Group("tests", identities.Persona.MODEL_TESTER, ("eve",), ("staging",)))


def _data(house: Any) -> None:
    with house.contexts.write(actors.Actor("ada"), "registry") as ctx:
        blobs = ctx.port(storage.Blobs)
        environments.create(ctx, "base", "1", {"conda_file": {"text": CONDA, "$file": "conda.yml"}})
        for name in ("rides", "holdout"):
            kept = data.store_bytes(blobs, f"{name}.csv", f"hour,count\n1,{len(name)}\n".encode())
            data.add_version(ctx, name, kept, "uri_file", label="production")


def _train(scene: Scene) -> None:
    scene.job = scene.submit(TRAINING, "bikes-training-1")
    scene.broken = scene.submit(FAILING, "broken-1")
    scene.until(lambda: {scene.job_status(each) for each in (scene.job, scene.broken)} == {"completed", "failed"})
    with scene.house.read() as ctx:
        run = job_queries.step(ctx, scene.job, "train").run_id
    assert run is not None
    scene.tracking.runs[run]["metrics"] = {"rmse": 55.71, "r2": 0.872}
    scene.tracking.runs[run]["params"] = {"trees": "300", "depth": "6"}
    scene.register("1", scene.job, run)


def _release(scene: Scene) -> None:
    with scene.house.write("ada", "dev") as ctx:
        releases.put_definition(ctx, documents.parse(DEFINITION, "release.yml", scene.house.home))
        scene.first = releases.start(ctx, "bikes", model_version="1", id="release-one").id
    scene.until(lambda: scene.release(scene.first).status == "waiting")
    scene.decide(scene.first)
    scene.until(lambda: scene.release(scene.first).status in model.ENDED)
    assert scene.release(scene.first).status == "completed", scene.release(scene.first).reasons
    scene.register("2", scene.job)
    with scene.house.write("ada", "dev") as ctx:
        scene.second = releases.start(ctx, "bikes", model_version="2", id="release-two").id
    scene.until(lambda: scene.release(scene.second).status == "waiting")
    scene.serving.say("prod/bikes/blue-r1", 6.0, 18_240, broken=2)


def _watch(scene: Scene) -> None:
    start = datetime(2026, 8, 3, 6, tzinfo=UTC)
    for week in range(14):
        drift = max(0.0, (week - 6) / 9) + 0.04 * math.sin(week * 1.7)
        scene.measure(week, start + timedelta(weeks=week), drift)


def _measuring() -> fake.FakeMeasuring:
    holdout = {"id": "data:registry/holdout:1", "digest": "h" * 64, "rows": 432}
    training = [{"id": "data:registry/rides:1", "digest": "t" * 64}]

    def quality(question: model.Question) -> dict[str, Any]:
        candidate = {"model": f"bikes:{question.candidate[1]}", "value": 55.7084, "training_data": training}
        champion = {"model": "bikes:1", "value": 57.2, "training_data": training} if question.champion else None
        return {"holdout": holdout, "candidate": candidate, "champion": champion, "metric": "rmse"}

    performance = {
        "rate": 50.0, "duration_s": 10.0, "planned": 499, "errors": 0, "error_kinds": {}, "sent_on_time": 1.0,
        "latency_ms": {"p50": 21.1, "p95": 85.7, "p99": 118.8},
    }  # fmt: skip
    return fake.FakeMeasuring(model_quality=quality, endpoint_performance=performance)


async def _nothing(flow: Any, argument: dict[str, Any]) -> None:
    return None


def _deploying(scene: Scene) -> Any:
    async def deploy(flow: Any, argument: dict[str, Any]) -> None:
        await flow.step("deploy", lay, argument["deployment"])

    def lay(id_: str) -> None:
        with scene.contexts.write(actors.service("releases")) as ctx:
            made = endpoint_store.deployment(ctx, id_)
            assert made is not None
            environment_store.put_lock(ctx, LOCK)
            endpoint_store.switch_status(
                ctx, made, endpoint_model.Status.READY, environment_lock=LOCK.digest, ready_at=ctx.now
            )
            if made.notify:
                durable.signal(ctx, made.notify, f"deployment:{id_}", {"error": ""})
        scene.serving.answers.setdefault(
            f"{made.workspace}/{made.endpoint}/{made.name}", protocol.DeploymentStatus(id_, "ready")
        )

    return deploy


class Served:
    """The console on a free port of this machine."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        app = pages.create(scene.contexts, scene.settings)
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="console", daemon=True)
        self._thread.start()
        scene.until(lambda: self._server.started)
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)


class Browser(httpx.Client):
    """A client that keeps cookies and fills forms, as a browser does; logged in as ``user``."""

    def __init__(self, app: Any, user: str | None = None) -> None:
        super().__init__(transport=Transport(app), base_url="http://console.test")
        if user:
            answer = self.send_form("/login", "/login", user=user, password=PASSWORD)
            assert answer.status_code == 303, answer.text

    def form_token(self, page: str) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.get(page).text)
        assert found, f"{page} has no form"
        return found[1]

    def send_form(self, page: str, action: str, **fields: str) -> httpx.Response:
        """Load ``page`` and send a form of it with its token."""
        return self.post(action, data={"csrf": self.form_token(page), **fields})


class Transport(httpx.BaseTransport):
    """Calls an ASGI application without a socket."""

    def __init__(self, app: Any) -> None:
        self._inner = httpx.ASGITransport(app=app, raise_app_exceptions=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def call() -> httpx.Response:
            answer = await self._inner.handle_async_request(
                httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
            )
            body = await answer.aread()
            return httpx.Response(answer.status_code, headers=answer.headers, content=body)

        return asyncio.run(call())
