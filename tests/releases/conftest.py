"""A house in which releases run: real tables, rules and commands of every room below; jobs and deployments end as a
test says; measurements come from the fake."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from doubleloop.base import actors, clock, errors
from doubleloop.catalog import commands as catalog
from doubleloop.db import changes
from doubleloop.db.context import Contexts
from doubleloop.durable import commands as durable
from doubleloop.durable import fake as durable_fake
from doubleloop.durable.fake import EagerEngine
from doubleloop.endpoints import model as endpoint_model
from doubleloop.endpoints import ports as endpoint_ports
from doubleloop.endpoints import queries as endpoint_queries
from doubleloop.endpoints import store as endpoint_store
from doubleloop.environments import commands as environments
from doubleloop.environments import model as pins
from doubleloop.environments import store as environment_store
from doubleloop.events import queries as events
from doubleloop.gateway import histogram, protocol
from doubleloop.jobs import model as job_model
from doubleloop.jobs import store as job_store
from doubleloop.models import queries as models
from doubleloop.monitoring import store as _monitoring_store  # noqa: F401  (declares its tables)
from doubleloop.releases import commands, fake, model, ports, queries, workflows
from doubleloop.secrets import ports as secrets
from doubleloop.specs import documents
from doubleloop.storage import ports as storage
from doubleloop.tracking import fake as tracking_fake
from doubleloop.tracking import ports as tracking_ports

DEFINITION = """
$schema: doubleloop/release
name: bikes
model: azureml:bikes
stages:
  - workspace: staging
    retrain:
      job: {type: command, command: python train.py, environment: azureml:env:1, compute: azureml:c}
    deployment: {name: blue, endpoint_name: bikes-test, model: azureml:bikes:1}
    checks:
      - {type: scan}
      - {type: data_quality, data: azureml:bikes@production, contract: {columns: {x: {type: number}}}}
      - {type: model_quality, data: azureml:holdout:1, target: y, metric: rmse, at_most: 4, champion: {tolerance: 0.02}}
      - {type: endpoint_performance, rate: 10, duration: 1s, p99_ms: 250}
  - workspace: prod
    approval: {personas: [project_lead], count: 1, expires: 7d}
    deployment: {name: blue, endpoint_name: bikes-live, model: azureml:bikes:1}
    rollout: {steps: [10, 50, 100], bake: 10s, abort: {error_rate: 0.01, p99_ms: 500}}
    monitor:
      name: bikes-monitor
      trigger: {type: cron, expression: "0 * * * *"}
      create_monitor:
        compute: {instance_type: standard_e4s_v3, runtime_version: "3.4"}
        monitoring_target: {ml_task: regression, endpoint_deployment_id: azureml:bikes-live:blue}
"""
SIGNATURE = {"inputs": [{"name": "x", "type": "double", "required": True}], "outputs": None}


class Serving:
    """A gateway whose deployments have answered what a test says."""

    def __init__(self) -> None:
        self.answers: dict[str, protocol.DeploymentStatus] = {}
        self.away = False

    def lock(self) -> Any:
        return nullcontext()

    def publish(self, endpoints: Any) -> int:
        return 1

    def status(self) -> protocol.Status:
        if self.away:
            raise errors.Unavailable("no gateway answers")
        places: dict[str, Any] = {}
        for where, status in self.answers.items():
            workspace, endpoint, name = where.split("/")
            places.setdefault(f"{workspace}/{endpoint}", {})[name] = status
        return protocol.Status(1, True, endpoints={k: protocol.EndpointStatus({}, v) for k, v in places.items()})

    def flush(self) -> None: ...

    def folder(self, kind: str) -> Path:
        return Path("/nowhere") / kind


LOCK = pins.Lock("3.11", ("mlflow==3.17.2", "scikit-learn==1.9.0"), "linux-x86_64")


class Keys:
    def derive(self, purpose: str) -> str:
        return f"key-of-{purpose}"


@dataclass
class Site:
    house: Any
    measuring: fake.FakeMeasuring
    monitors: fake.FakeMonitors
    serving: Serving
    training: str = "register"  # register | silent | fail | never
    deploying: str = "ready"  # ready | fail
    moments: list[datetime] = field(default_factory=list)
    engine: EagerEngine | None = None
    lock: pins.Lock = LOCK

    @property
    def contexts(self) -> Contexts:
        return self.house.contexts

    def register(
        self, version: str, *, by: str = "ada", job: str | None = None, **spec: Any
    ) -> models.model.ModelVersion:
        blobs = self.contexts.port(storage.Blobs)
        content = f"flavors: {{v: {version}}}".encode()
        entry = storage.Entry("MLmodel", blobs.put_bytes(content), len(content))
        digest = blobs.put_entries((entry,)).sha256
        whole = {
            "reference": f"tree:sha256:{digest}", "flavor": "mlflow", "signature": SIGNATURE, "authors": [by],
            "training_data": ["data:registry/train:1"], **spec,
        }  # fmt: skip
        with self.contexts.write(actors.Actor(by), "registry") as ctx:
            catalog.add(ctx, "model", "bikes", version, digest, whole, job=job)
            return models.get(ctx.acting_as(actors.service("releases")), "bikes", version)

    def define(self, text: str = DEFINITION, *, by: str = "ada", commits: Any = ()) -> model.Definition:
        document = documents.with_commits(documents.parse(text, "release.yml", self.house.home), commits)
        with self.house.write(by, "dev") as ctx:
            return commands.put_definition(ctx, document)

    def start(self, version: str | None = None, *, by: str = "ada", **more: Any) -> model.Release:
        with self.house.write(by, "dev") as ctx:
            return commands.start(ctx, "bikes", model_version=version, **more)

    def get(self, id_: str) -> model.Release:
        with self.house.read("grace", None) as ctx:
            return queries.find(ctx, id_)

    def facts(self, id_: str, *types: str) -> list[Any]:
        with self.house.read("grace", None) as ctx:
            return events.facts(ctx, subject=f"release:{id_}", types=types)

    def traffic(self, workspace: str = "prod", endpoint: str = "bikes-live") -> dict[str, int]:
        with self.house.read("linus", workspace) as ctx:
            return endpoint_queries.get(ctx, endpoint).traffic

    def deployments(self, workspace: str = "prod", endpoint: str = "bikes-live") -> list[str]:
        with self.house.read("linus", workspace) as ctx:
            return sorted(each.name for each in endpoint_queries.deployments(ctx, endpoint))

    def champion(self, workspace: str = "prod") -> str | None:
        with self.house.read("grace", None) as ctx:
            found = models.champion(ctx, "bikes", workspace)
            return found.version if found else None

    def decide(self, id_: str, decision: str = "approve", *, by: str = "grace", comment: str = "looks good") -> None:
        with self.house.read("grace", None) as ctx:
            release = queries.find(ctx, id_)
            asked = queries.approvals(ctx, id_)[-1]
        verb = commands.approve if decision == "approve" else commands.reject
        with self.house.write(by, None) as ctx:
            verb(ctx, release.id, comment, asked.evidence_digest)

    def answers(self, name: str, requests: int = 0, broken: int = 0, ms: float = 5.0, state: str = "ready") -> None:
        """What a deployment of the live endpoint has answered so far."""
        latency = [0] * (len(histogram.BOUNDS_MS) + 1)
        latency[next(i for i, bound in enumerate([*histogram.BOUNDS_MS, 1e9]) if ms <= bound)] = requests
        counters = protocol.Counters(requests=requests, server_errors=broken, latency=tuple(latency))
        self.serving.answers[f"prod/bikes-live/{name}"] = protocol.DeploymentStatus("d", state, counters=counters)  # type: ignore[arg-type]

    def run(self, script: Any = None, *, expire: bool = False, timeout: float = 60) -> EagerEngine:
        """Carry out everything, while ``script`` (a coroutine function) acts like people do."""
        bodies = {
            **workflows.WORKFLOWS, "jobs.run": self._job, "endpoints.deploy": self._deploy,
            "endpoints.publish": self._nothing,
        }  # fmt: skip
        self.engine = engine = EagerEngine(self.contexts, bodies, expire=expire)

        async def together() -> None:
            tasks = [asyncio.ensure_future(engine._run())]
            if script is not None:
                tasks.append(asyncio.ensure_future(script()))
            await asyncio.wait_for(asyncio.gather(*tasks), timeout)

        asyncio.run(together())
        return engine

    async def until(self, id_: str, *statuses: str) -> model.Release:
        changed = changes.Changes(self.contexts.engine, 0.25)
        with contextlib.closing(changed):
            while True:
                if changed.due() and (release := await asyncio.to_thread(self.get, id_)).status in statuses:
                    return release
                await asyncio.sleep(0.01)

    def through(self, id_: str, decision: str = "approve", **more: Any) -> model.Release:
        """Run a release to its end, with a decision when it asks."""

        async def people() -> None:
            release = await self.until(id_, "waiting", *model.ENDED)
            if release.status == "waiting":
                await asyncio.to_thread(lambda: self.decide(id_, decision, **more))

        self.run(people)
        return self.get(id_)

    async def _nothing(self, flow: Any, argument: dict[str, Any]) -> None:
        return None

    async def _job(self, flow: Any, argument: dict[str, Any]) -> None:
        if self.training != "never":
            await flow.step("job", self._train, argument["job"])

    def _train(self, id_: str) -> None:
        with self.contexts.read(actors.service("jobs")) as ctx:
            job = job_store.get(ctx, id_)
            known = [each.version for each in models.versions(ctx, "bikes")]
        assert job is not None
        if self.training == "register":
            self.register(str(max(map(int, known), default=0) + 1), by="service:releases", job=id_)
        status = job_model.Status.FAILED if self.training == "fail" else job_model.Status.COMPLETED
        with self.contexts.write(actors.service("jobs"), job.workspace) as ctx:
            job_store.set_job(
                ctx, job, status, ended_at=ctx.now, error="it exited with 1" if status == "failed" else ""
            )
            if job.notify:
                durable.signal(ctx, job.notify, f"job:{id_}", {"status": status})

    async def _deploy(self, flow: Any, argument: dict[str, Any]) -> None:
        await flow.step("deploy", self._lay, argument["deployment"])

    def _lay(self, id_: str) -> None:
        failed = self.deploying == "fail"
        with self.contexts.write(actors.service("releases")) as ctx:
            made = endpoint_store.deployment(ctx, id_)
            assert made is not None
            status = endpoint_model.Status.FAILED if failed else endpoint_model.Status.READY
            environment_store.put_lock(ctx, self.lock)
            endpoint_store.switch_status(
                ctx, made, status, error="no such package" if failed else "",
                environment_lock=made.environment_lock or self.lock.digest,
            )  # fmt: skip
            if made.notify:
                durable.signal(ctx, made.notify, f"deployment:{id_}", {"error": ""})
        if made.workspace == "prod" and not failed:
            self.serving.answers.setdefault(f"prod/bikes-live/{made.name}", protocol.DeploymentStatus(id_, "ready"))


@pytest.fixture
def site(house: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    waited = durable_fake.EagerFlow.wait

    async def wait(self: Any, topic: str, timeout: float) -> Any:
        """The time of a bake passes at once; for people, jobs and deployments it stands still."""
        if topic != "rollout":
            return await waited(self, topic, timeout)
        await asyncio.sleep(0.005)
        queue = self._engine.signals[(self.id, topic)]
        return None if queue.empty() else queue.get_nowait()

    monkeypatch.setattr(durable_fake.EagerFlow, "wait", wait)
    made = Site(house, fake.FakeMeasuring(), fake.FakeMonitors(), Serving())
    house.ports[ports.Measuring] = made.measuring
    house.ports[ports.Monitors] = made.monitors
    house.ports[endpoint_ports.Serving] = made.serving
    house.ports[secrets.Keys] = Keys()
    house.ports[tracking_ports.Tracking] = tracking_fake.MemoryTracking()
    made.contexts.ports.update(house.ports)  # type: ignore[attr-defined]
    with house.write("ada", "registry") as ctx:
        conda = {"$file": "conda.yml", "text": "dependencies: [python=3.11]"}
        environments.create(ctx, "env", "1", {"name": "env", "conda_file": conda})
    yield made


@pytest.fixture
def later(site: Site) -> Any:
    """Contexts whose clock runs ahead."""

    def ahead(**span: float) -> Contexts:
        from datetime import timedelta

        return Contexts(site.contexts.engine, site.contexts.ports, lambda: clock.now() + timedelta(**span))

    return ahead
