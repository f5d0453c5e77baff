"""Workspaces, computes, datastores; data, environments, components, models."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from typing import Any

from fastapi import Body, Request
from fastapi.responses import StreamingResponse

from doubleloop.api import render, requests, routing, streaming
from doubleloop.api.routing import needs
from doubleloop.base import errors
from doubleloop.data import commands as data
from doubleloop.data import contracts
from doubleloop.data import queries as datasets
from doubleloop.environments import commands as environments
from doubleloop.environments import queries as environment_queries
from doubleloop.identity.actions import Action
from doubleloop.models import commands as models
from doubleloop.models import queries as model_queries
from doubleloop.settings.model import Settings
from doubleloop.specs import model as specs
from doubleloop.tracking import ports as tracking
from doubleloop.workspaces import declared
from doubleloop.workspaces import queries as workspaces

router = routing.router("/api/v1")


@router.get("/workspaces", openapi_extra=needs(Action.WORKSPACE_READ))
def list_workspaces(request: Request) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        return requests.listing(workspaces.visible(ctx), render.workspace)


@router.get("/workspaces/{ws}", openapi_extra=needs(Action.WORKSPACE_READ))
def show_workspace(request: Request, ws: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return render.workspace(workspaces.show(ctx, ws))


def _local(settings: Settings) -> dict[str, Any]:
    return {"name": "local", "type": "local", "state": "Running", "provisioning_state": "Succeeded",
            "slots": settings.slots, "accepted": {}}  # fmt: skip


def _declared(settings: Settings, found: dict[str, dict[str, Any]], ws: str) -> dict[str, dict[str, Any]]:
    """The computes that set-ups declare for a workspace; each stands for this machine."""
    declared_here = {
        name: {key: value for key, value in spec.items() if key != "workspaces"}
        for name, spec in found.items()
        if not spec.get("workspaces") or ws in spec["workspaces"]
    }
    return {
        name: {**_local(settings), **spec, "name": name,
               "accepted": {key: value for key, value in spec.items() if key != "type"}}
        for name, spec in declared_here.items()
    }  # fmt: skip


@router.get("/workspaces/{ws}/computes", openapi_extra=needs(Action.COMPUTE_READ))
def list_computes(request: Request, ws: str) -> dict[str, Any]:
    settings = requests.settings(request)
    with requests.reading(request, ws) as ctx:
        workspaces.permit_computes(ctx)
        found = _declared(settings, declared.every(ctx, "compute"), ws)
    computes = {"local": _local(settings), **found}
    return requests.listing(computes.values(), dict)


@router.get("/workspaces/{ws}/computes/{name}", openapi_extra=needs(Action.COMPUTE_READ))
def show_compute(request: Request, ws: str, name: str) -> dict[str, Any]:
    settings = requests.settings(request)
    with requests.reading(request, ws) as ctx:
        workspaces.permit_computes(ctx)
        found = _declared(settings, declared.every(ctx, "compute"), ws)
    # Every name that a file uses is this machine: clusters of other names exist only where they do.
    return found.get(name, {**_local(settings), "name": name})


@router.post("/workspaces/{ws}/datastores", openapi_extra=needs(Action.STORAGE_WRITE))
def put_datastore(request: Request, ws: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "document")
    document = requests.document(body, "datastore")
    spec = {key: value for key, value in specs.plain(document.model).items() if key not in ("$schema", "name")}
    if spec.get("credentials"):
        raise errors.NotSupported(
            "Credentials of datastores are not kept here", where=document.source.where("credentials"),
            cure="Leave them out; a local folder needs none.",
        )  # fmt: skip
    with requests.writing(request, ws) as ctx:
        data.put_datastore(ctx, document.model.name, spec)
    return _datastore(document.model.name, spec)


@router.get("/workspaces/{ws}/datastores", openapi_extra=needs(Action.STORAGE_READ))
def list_datastores(request: Request, ws: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        found = datasets.datastores(ctx)
    return requests.listing(sorted(found.items()), lambda item: _datastore(*item))


@router.get("/workspaces/{ws}/datastores/{name}", openapi_extra=needs(Action.STORAGE_READ))
def show_datastore(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        found = datasets.datastores(ctx)
    if name not in found:
        raise errors.NotFound(f"No datastore is named '{name}' in {ws}", cure=f"There are: {', '.join(found)}.")
    return _datastore(name, found[name])


def _datastore(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "is_default": name == datasets.DEFAULT_DATASTORE, **spec}


@router.delete("/workspaces/{ws}/datastores/{name}", openapi_extra=needs(Action.STORAGE_WRITE))
def delete_datastore(request: Request, ws: str, name: str) -> dict[str, Any]:
    """The name goes; what lies there stays."""
    with requests.writing(request, ws) as ctx:
        data.remove_datastore(ctx, name)
    return {}


@router.post("/workspaces/{ws}/data", openapi_extra=needs(Action.DATA_WRITE))
def create_data(request: Request, ws: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "document", "label")
    document = requests.document(body, "data")
    spec = document.model
    reference = data.keep(requests.contexts(request), requests.actor(request), ws, spec.path)
    judged = contracts.look(requests.contexts(request), requests.actor(request), ws, spec.name, reference)
    with requests.writing(request, ws) as ctx:
        asset = data.add_version(
            ctx, spec.name, reference, spec.type, version=spec.version, description=spec.description or "",
            tags=dict(spec.tags), label=requests.value(body, "label", str), judged=judged,
        )  # fmt: skip
    return render.asset(asset)


@router.post("/workspaces/{ws}/contracts", openapi_extra=needs(Action.DATA_WRITE))
def put_contract(request: Request, ws: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "document")
    document = requests.document(body, "contract")
    with requests.writing(request, ws) as ctx:
        return render.contract(contracts.put(ctx, document))


@router.get("/workspaces/{ws}/contracts", openapi_extra=needs(Action.DATA_READ))
def list_contracts(request: Request, ws: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing(contracts.every(ctx), render.contract)


@router.get("/workspaces/{ws}/contracts/{name}", openapi_extra=needs(Action.DATA_READ))
def show_contract(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return render.contract(contracts.get(ctx, name))


@router.get("/workspaces/{ws}/contracts/{name}/checks", openapi_extra=needs(Action.DATA_READ))
def contract_checks(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing(contracts.checks(ctx, name), render.contract_check)


@router.delete("/workspaces/{ws}/contracts/{name}", openapi_extra=needs(Action.DATA_WRITE))
def delete_contract(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        contracts.delete(ctx, name)
    return {}


@router.get("/workspaces/{ws}/data", openapi_extra=needs(Action.DATA_READ))
def list_data(request: Request, ws: str, archived: bool = False) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing([each.asset for each in datasets.names(ctx, archived)], render.asset)


@router.get("/workspaces/{ws}/data/{name}/versions", openapi_extra=needs(Action.DATA_READ))
def data_versions(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing([each.asset for each in datasets.versions(ctx, name)], render.asset)


def _reference(name: str, version: str) -> str:
    return f"{name}{version}" if version.startswith("@") else f"{name}:{version}"


@router.get("/workspaces/{ws}/data/{name}/versions/{version}", openapi_extra=needs(Action.DATA_READ))
def show_data(request: Request, ws: str, name: str, version: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return render.asset(datasets.resolve(ctx, _reference(name, version)).asset)


@router.get("/workspaces/{ws}/data/{name}/versions/{version}/profile", openapi_extra=needs(Action.DATA_READ))
def profile_data(
    request: Request, ws: str, name: str, version: str, target: str | None = None, against: str | None = None
) -> dict[str, Any]:
    other = against if against is None or ":" in against else _reference(name, against)
    return datasets.explore(
        requests.contexts(request), requests.actor(request), ws, _reference(name, version), target, other
    )


@router.post("/workspaces/{ws}/data/{name}/versions/{version}/profile", openapi_extra=needs(Action.DATA_READ))
def look_at_data(
    request: Request, ws: str, name: str, version: str, body: dict[str, Any] = Body(default={})
) -> StreamingResponse:
    requests.refuse_unknown(body, "target", "against")
    against = requests.text(body, "against") or None
    other = against if against is None or ":" in against else _reference(name, against)
    contexts, actor, wanted = requests.contexts(request), requests.actor(request), _reference(name, version)
    target = requests.text(body, "target") or None
    with requests.reading(request, ws) as ctx:  # what is not there, or not theirs, is told before anything is begun
        for each in (wanted, other):
            if each is not None:
                datasets.resolve(ctx, each)
    return streaming.answer(
        lambda progress, stop: datasets.explore(
            contexts, actor, ws, wanted, target, other, progress=progress, stop=stop
        ),
        f"look at {name}",
    )


@router.put("/workspaces/{ws}/data/{name}/labels/{label}", openapi_extra=needs(Action.DATA_WRITE))
def label_data(request: Request, ws: str, name: str, label: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "version")
    with requests.writing(request, ws) as ctx:
        data.label(ctx, _reference(name, requests.text(body, "version")), label)
        return render.asset(datasets.resolve(ctx, f"{name}@{label}").asset)


@router.post("/workspaces/{ws}/data/{name}/versions/{version}/archive", openapi_extra=needs(Action.DATA_WRITE))
def archive_data(request: Request, ws: str, name: str, version: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        return render.asset(data.archive(ctx, _reference(name, version), True))


@router.post("/workspaces/{ws}/data/{name}/versions/{version}/restore", openapi_extra=needs(Action.DATA_WRITE))
def restore_data(request: Request, ws: str, name: str, version: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        return render.asset(data.archive(ctx, _reference(name, version), False))


@router.post("/workspaces/{ws}/environments", openapi_extra=needs(Action.ENVIRONMENT_WRITE))
def create_environment(request: Request, ws: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "document", "label")
    document = requests.document(body, "environment")
    spec = specs.plain(document.model)
    with requests.writing(request, ws) as ctx:
        asset = environments.create(ctx, document.model.name, document.model.version, spec)
    return render.environment(asset)


@router.get("/workspaces/{ws}/environments", openapi_extra=needs(Action.ENVIRONMENT_READ))
def list_environments(request: Request, ws: str, archived: bool = False) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing(environment_queries.names(ctx, archived), render.environment)


@router.get("/workspaces/{ws}/environments/{name}/versions", openapi_extra=needs(Action.ENVIRONMENT_READ))
def environment_versions(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing(environment_queries.versions(ctx, name), render.environment)


@router.get("/workspaces/{ws}/environments/{name}/versions/{version}", openapi_extra=needs(Action.ENVIRONMENT_READ))
def show_environment(request: Request, ws: str, name: str, version: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return render.environment(environment_queries.show(ctx, _reference(name, version)))


@router.put("/workspaces/{ws}/environments/{name}/labels/{label}", openapi_extra=needs(Action.ENVIRONMENT_WRITE))
def label_environment(
    request: Request, ws: str, name: str, label: str, body: dict[str, Any] = Body()
) -> dict[str, Any]:
    requests.refuse_unknown(body, "version")
    with requests.writing(request, ws) as ctx:
        wanted = _reference(name, requests.text(body, "version"))
        return render.environment(environments.set_label(ctx, wanted, label))


@router.post(
    "/workspaces/{ws}/environments/{name}/versions/{version}/archive", openapi_extra=needs(Action.ENVIRONMENT_WRITE)
)
def archive_environment(request: Request, ws: str, name: str, version: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        return render.environment(environments.archive(ctx, _reference(name, version)))


@router.post(
    "/workspaces/{ws}/environments/{name}/versions/{version}/restore", openapi_extra=needs(Action.ENVIRONMENT_WRITE)
)
def restore_environment(request: Request, ws: str, name: str, version: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        return render.environment(environments.archive(ctx, _reference(name, version), False))


@router.post(
    "/workspaces/{ws}/environments/{name}/versions/{version}/build", openapi_extra=needs(Action.ENVIRONMENT_WRITE)
)
def build_environment(request: Request, ws: str, name: str, version: str) -> StreamingResponse:
    contexts = requests.contexts(request)
    with requests.reading(request, ws) as ctx:
        environments.permit_build(ctx)
        source = environment_queries.resolve(ctx, _reference(name, version))
    lines: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def work() -> None:
        try:
            made = environments.prepare(contexts, ws, source, lambda text: lines.put({"progress": text}))
            packages = [
                dict(zip(("name", "version"), pin.split("==", 1), strict=False)) for pin in made.lock.requirements
            ]
            lines.put({"result": {"lock_digest": made.lock_digest, "python": made.lock.python, "packages": packages,
                                  "reused": made.reused}})  # fmt: skip
        except errors.DoubleloopError as error:
            lines.put(error.to_dict())
        finally:
            lines.put(None)

    threading.Thread(target=work, name=f"build {name}", daemon=True).start()

    def stream() -> Iterator[str]:
        while (line := lines.get()) is not None:
            yield json.dumps(line) + "\n"

    return StreamingResponse(stream(), media_type="application/x-ndjson")


@router.post("/workspaces/{ws}/models", openapi_extra=needs(Action.MODEL_WRITE))
def create_model(request: Request, ws: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "document", "label")
    document = requests.document(body, "model")
    spec = document.model
    contexts, actor = requests.contexts(request), requests.actor(request)
    reference = data.keep(contexts, actor, ws, spec.path)
    about = tracking.About(spec.version, spec.description or "", dict(spec.tags), dict(spec.properties))
    return render.model_version(models.create(contexts, actor, ws, spec.name, reference, about))


@router.get("/workspaces/{ws}/models", openapi_extra=needs(Action.MODEL_READ))
def list_models(request: Request, ws: str, archived: bool = False) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing(model_queries.names(ctx, archived), render.model_version)


@router.get("/workspaces/{ws}/models/{name}/versions", openapi_extra=needs(Action.MODEL_READ))
def model_versions(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing(model_queries.versions(ctx, name), render.model_version)


@router.get("/workspaces/{ws}/models/{name}/versions/{version}", openapi_extra=needs(Action.MODEL_READ))
def show_model(request: Request, ws: str, name: str, version: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return render.model_version(model_queries.resolve(ctx, _reference(name, version)))


@router.post("/workspaces/{ws}/models/{name}/versions/{version}/archive", openapi_extra=needs(Action.MODEL_WRITE))
def archive_model(request: Request, ws: str, name: str, version: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        models.archive(ctx, name, version, True)
        return render.model_version(model_queries.get(ctx, name, version))


@router.post("/workspaces/{ws}/models/{name}/versions/{version}/restore", openapi_extra=needs(Action.MODEL_WRITE))
def restore_model(request: Request, ws: str, name: str, version: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        models.archive(ctx, name, version, False)
        return render.model_version(model_queries.get(ctx, name, version))
