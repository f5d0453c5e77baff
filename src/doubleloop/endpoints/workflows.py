"""From a deployment's file to a deployment that answers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doubleloop.base import actors, clock, errors
from doubleloop.data import commands as data
from doubleloop.db.context import Contexts, Ctx
from doubleloop.durable import commands as durable
from doubleloop.durable import ports as flows
from doubleloop.endpoints import commands, model, ports, rules, store, variables
from doubleloop.environments import commands as environments
from doubleloop.environments import queries as pins
from doubleloop.environments.sources import Prepared
from doubleloop.gateway import protocol
from doubleloop.models import queries as models
from doubleloop.models import rules as model_rules
from doubleloop.specs import documents
from doubleloop.specs import model as specs
from doubleloop.storage import ports as storage
from doubleloop.workspaces import queries as workspaces

ACTOR = actors.service("releases")
READY_SECONDS = 180.0
POLL_SECONDS = 0.1


async def deploy(flow: flows.Flow, argument: dict[str, Any]) -> Any:
    """Lay the files, build the environment, ask the gateway, wait until it answers, tell who waits."""
    id_ = argument["deployment"]
    problem = await flow.step("prepare", _prepare, flow.contexts, id_, slot="environments")
    if not problem:
        await flow.step("publish", publish, flow.contexts)
        problem = await flow.step("await", _await, flow.contexts, id_)
    await flow.step("finish", finish, flow.contexts, id_, problem)
    await flow.step("publish again", publish, flow.contexts)
    return {"deployment": id_, "error": problem}


async def publish_once(flow: flows.Flow, argument: dict[str, Any]) -> Any:
    await flow.step("publish", publish, flow.contexts)


WORKFLOWS: dict[str, flows.Body] = {"endpoints.deploy": deploy, "endpoints.publish": publish_once}


@dataclass(frozen=True)
class _Laid:
    """Where a deployment's files are, what runs them, and how requests are checked."""

    files: dict[str, Any]
    python: str
    lock: str
    signature: dict[str, Any] | None


def _load(contexts: Contexts, id_: str) -> model.Deployment:
    with contexts.read(ACTOR) as ctx:
        found = store.deployment(ctx, id_)
    assert found is not None
    return found


def _prepare(contexts: Contexts, id_: str) -> str:
    """Returns what went wrong, empty when all is ready."""
    deployment = _load(contexts, id_)
    if deployment.status is not model.Status.PREPARING:
        return deployment.error
    try:
        laid = _lay(contexts, deployment)
    except errors.DoubleloopError as error:
        return str(error)
    with contexts.write(ACTOR, deployment.workspace) as ctx:
        going_on = store.switch_status(
            ctx, deployment, model.Status.STARTING, files=laid.files, python=laid.python,
            environment_lock=laid.lock, signature=laid.signature,
        )  # fmt: skip
    return "" if going_on else "it was deleted while it was prepared"


def _lay(contexts: Contexts, deployment: model.Deployment) -> _Laid:
    document = documents.from_wire(deployment.spec)
    spec = document.model
    reference = _model_reference(contexts, deployment, spec)
    serving = contexts.port(ports.Serving)
    model_dir = _lay_once(contexts, reference, serving.folder("models"))
    mlmodel = model_dir / "MLmodel"
    files: dict[str, Any] = {"model_dir": str(model_dir), "kind": "mlflow", "code_dir": None, "script": None}
    signature = deployment.signature
    if mlmodel.exists():
        own = model_rules.signature(model_rules.read_mlmodel(mlmodel.read_text(), "MLmodel")) or {}
        # Of versions that were registered before parameters were kept, the file alone tells them.
        signature = {"params": own.get("params"), **signature} if signature else own or None
    if spec.code_configuration is not None:
        code = _lay_once(contexts, spec.code_configuration.code, serving.folder("code"))
        files |= {"kind": "script", "code_dir": str(code), "script": spec.code_configuration.scoring_script}
        if not (code / spec.code_configuration.scoring_script).exists():
            raise errors.InvalidInput(
                f"The code folder holds no {spec.code_configuration.scoring_script}",
                where=document.source.where("code_configuration.scoring_script"),
            )
    elif not mlmodel.exists():
        raise errors.InvalidInput(
            "The model is not an MLflow model (it has no MLmodel file) and the deployment names no scoring script",
            where=document.source.where("model"),
            cure="Add code_configuration (code, scoring_script) and environment, or log the model with MLflow.",
        )
    if spec.code_configuration is None:
        rules.check_masking(commands.masking(spec), signature, document.where("data_collector.column_masking"))
    prepared = _environment(contexts, deployment, spec, model_dir)
    if spec.code_configuration is None and spec.compile:
        environments.serving_kit(contexts, prepared)
    files["secrets"] = variables.pin(contexts, ACTOR, deployment)
    return _Laid(files, str(prepared.python), prepared.lock_digest, signature)


def _environment(contexts: Contexts, deployment: model.Deployment, spec: Any, model_dir: Path) -> Prepared:
    """A lock that came with the deployment is built as it is; nothing is resolved again."""
    if deployment.environment_lock:
        return environments.prepare_lock(contexts, deployment.workspace, deployment.environment_lock)
    with contexts.read(ACTOR, deployment.workspace) as ctx:
        source = (
            pins.resolve(ctx, _plain(spec.environment))
            if spec.environment is not None
            else environments.source_of_model(model_dir)
        )
    return environments.prepare(contexts, deployment.workspace, source)


def _plain(environment: Any) -> Any:
    return environment if isinstance(environment, str) else specs.plain(environment)


def _model_reference(contexts: Contexts, deployment: model.Deployment, spec: Any) -> str:
    if deployment.model_name:
        with contexts.read(ACTOR, deployment.workspace) as ctx:
            return models.get(ctx, deployment.model_name, deployment.model_version).reference
    path = spec.model if isinstance(spec.model, str) else spec.model.path
    return data.keep(contexts, ACTOR, deployment.workspace, path)


def _lay_once(contexts: Contexts, reference: str, folder: Path) -> Path:
    """Files by their hash: laid the first time, shared by every deployment of the same content."""
    kind, _, rest = reference.partition(":sha256:")
    sha256, _, below = rest.partition("/")
    # A folder model keeps its own name under AZUREML_MODEL_DIR; a file lies directly in it.
    target = folder / f"{kind}-{sha256}" / (below.rstrip("/").rpartition("/")[2] or "model")
    if not target.exists():
        contexts.port(storage.Blobs).materialise(reference, target)
    return target


def desired(ctx: Ctx) -> dict[str, protocol.Endpoint]:
    """What the gateway should serve, from the tables alone."""
    wanted = {}
    for endpoint in store.endpoints(ctx):
        live = store.deployments(ctx, endpoint.workspace, endpoint.name, statuses=model.LIVE)
        # In order of creation: a newer one of the same name takes its place, and the gateway swaps when it is ready.
        chosen = {each.name: each for each in live}
        wanted[f"{endpoint.workspace}/{endpoint.name}"] = protocol.Endpoint(
            deployments={name: _served(ctx, each) for name, each in chosen.items()},
            traffic={name: float(share) for name, share in endpoint.traffic.items() if name in chosen},
            mirror_traffic={name: float(share) for name, share in endpoint.mirror_traffic.items() if name in chosen},
            slo=_slo(endpoint.slo),
            **commands.doors(ctx, endpoint),
        )
    return wanted


def _served(ctx: Ctx, deployment: model.Deployment) -> protocol.Deployment:
    spec = documents.from_wire(deployment.spec).model
    limits, collector = spec.request_settings, spec.data_collector
    collections = collector.collections if collector else {}
    more: dict[str, Any] = {}
    if limits is not None:
        chosen = {
            "request_timeout_ms": limits.request_timeout_ms,
            "max_concurrent_requests_per_instance": limits.max_concurrent_requests_per_instance,
            "max_queue_wait_ms": limits.max_queue_wait_ms,
        }
        more = {key: value for key, value in chosen.items() if value is not None}
    patience = _patience(spec)
    if patience > READY_SECONDS:
        more["start_timeout_ms"] = int(patience * 1000)
    named = deployment.files.get("secrets", {})
    plain = {name: text for name, text in spec.environment_variables.items() if name not in named}
    masking = commands.masking(spec)
    return protocol.Deployment(
        id=deployment.id, python=deployment.python, model_dir=deployment.files["model_dir"],
        kind=deployment.files["kind"], code_dir=deployment.files["code_dir"],
        scoring_script=deployment.files["script"], environment_variables=plain, secrets=dict(named),
        instances=spec.instance_count or 1, scale=_scale(spec.scale_settings), signature=deployment.signature,
        unsigned_reason=None if deployment.signature else "the model was logged without a signature",
        model=deployment.model_name, model_version=deployment.model_version, compile=spec.compile,
        image_urls=workspaces.reach(ctx, deployment.workspace) if spec.image_urls else None,
        collect=protocol.Collect(
            inputs=_collected(collections, "model_inputs"), outputs=_collected(collections, "model_outputs"),
            sampling_rate=collector.sampling_rate if collector and collector.sampling_rate is not None else 1.0,
            collections={name: each.enabled for name, each in collections.items()} if collections else None,
            headers=_captured(collector),
            drop=tuple(name for name, how in masking.items() if how == "drop"),
            hash=tuple(name for name, how in masking.items() if how == "hash"),
        ),
        **more,
    )  # fmt: skip


def _patience(spec: Any) -> float:
    """Seconds that an instance may take to load its model."""
    return max(READY_SECONDS, rules.start_seconds((spec.liveness_probe, spec.readiness_probe)) or 0.0)


def _slo(given: dict[str, Any] | None) -> protocol.Slo | None:
    if given is None:
        return None
    latency = given.get("latency") or {}
    return protocol.Slo(
        int(clock.duration(given["window"]).total_seconds()),
        (given.get("availability") or {}).get("target"), latency.get("target"), latency.get("threshold_ms"),
    )  # fmt: skip


def _scale(given: Any) -> protocol.Scale | None:
    """A deployment's ``scale_settings``: None where the number of instances stays."""
    if given is None or given.type == "default":
        return None
    chosen = {
        "min_instances": given.min_instances, "max_instances": given.max_instances,
        "target_utilization_percentage": given.target_utilization_percentage,
        "polling_interval_ms": rules.milliseconds(given.polling_interval) if given.polling_interval else None,
    }  # fmt: skip
    return protocol.Scale(**{key: value for key, value in chosen.items() if value is not None})


def _collected(collections: Any, name: str) -> bool:
    """Of a file that names one of the two, the other is left out of the log, as in Azure ML."""
    given = collections.get(name)
    return given.enabled if given else not {"model_inputs", "model_outputs"} & set(collections)


def _captured(collector: Any) -> tuple[str, ...]:
    """Header names as the gateway sees them; a key must not get into the log."""
    wanted = collector.request_logging.capture_headers if collector and collector.request_logging else ()
    return tuple(name.lower() for name in wanted if name.lower() not in ("authorization", "cookie"))


def publish(contexts: Contexts) -> int:
    """Write the gateway's desired state as the tables say now; the newest tables win, however many publish."""
    serving = contexts.port(ports.Serving)
    with serving.lock():  # type: ignore[attr-defined]
        with contexts.read(ACTOR) as ctx:
            wanted = desired(ctx)
        return serving.publish(variables.sealed(contexts, ACTOR, wanted))


def _await(contexts: Contexts, id_: str) -> str:
    deployment = _load(contexts, id_)
    serving = contexts.port(ports.Serving)
    patience = _patience(documents.from_wire(deployment.spec).model)
    deadline = time.monotonic() + patience
    last = "the gateway did not answer"
    while time.monotonic() < deadline:
        try:
            status = serving.status()
        except errors.Unavailable as error:
            last = error.what
        else:
            place = status.endpoints.get(f"{deployment.workspace}/{deployment.endpoint}")
            found = place.deployments.get(deployment.name) if place else None
            if found and found.id == id_:
                if found.state == "ready":
                    return ""
                if found.state == "failed":
                    return found.error or "it failed to start"
                last = f"it is {found.state}"
        if _load(contexts, id_).status is model.Status.DELETED:
            return "it was deleted while it started"
        time.sleep(POLL_SECONDS)
    return f"not ready after {patience:.0f} s: {last}"


def finish(contexts: Contexts, id_: str, problem: str) -> None:
    with contexts.write(ACTOR) as ctx:
        deployment = store.deployment(ctx, id_)
        assert deployment is not None
        ctx = ctx.in_workspace(deployment.workspace)
        if problem:
            if deployment.status is not model.Status.DELETED:
                store.switch_status(ctx, deployment, model.Status.FAILED, error=problem)
        elif store.switch_status(ctx, deployment, model.Status.READY, ready_at=ctx.now):
            _take_place(ctx, deployment)
        if deployment.notify:
            durable.signal(
                ctx,
                deployment.notify,
                f"deployment:{id_}",
                {"deployment": id_, "error": problem},
                key=f"deployed-{id_}",
            )


def _take_place(ctx: Ctx, deployment: model.Deployment) -> None:
    """Ready: earlier ones of the same name have gone, and the traffic it was to get is its own."""
    for other in store.deployments(ctx, deployment.workspace, deployment.endpoint, deployment.name, model.LIVE):
        if other.id != deployment.id and other.created_at <= deployment.created_at:
            store.switch_status(ctx, other, model.Status.REPLACED)
    if deployment.all_traffic:
        commands.set_traffic(ctx, deployment.endpoint, {deployment.name: 100}, reason="all traffic asked for")
