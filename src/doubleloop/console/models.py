"""Model versions: metrics, where each is champion, signature, where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from doubleloop.base import errors
from doubleloop.catalog import queries as catalog
from doubleloop.console import rendering, requests
from doubleloop.console.requests import needs
from doubleloop.identity.actions import Action
from doubleloop.models import model, queries
from doubleloop.releases import queries as releases
from doubleloop.tracking import ports as tracking

router = APIRouter()

# Each version's metrics are a request to the tracking server.
MEASURED = 12


@dataclass(frozen=True)
class Row:
    version: model.ModelVersion
    metrics: dict[str, float]
    params: dict[str, str]
    upstream: list[tuple[str, str]]
    downstream: list[tuple[str, str]]


@router.get("/models", openapi_extra=needs(Action.MODEL_READ))
def index() -> Response:
    """The overview is the list of models."""
    return RedirectResponse("/", 303)


@router.get("/models/{name}", openapi_extra=needs(Action.MODEL_READ))
def show(request: Request, name: str) -> Response:
    with requests.reading(request) as ctx:
        versions = queries.versions(ctx, name)
        if not versions:
            known = ", ".join(each.name for each in queries.names(ctx)) or "none yet"
            raise errors.NotFound(f"No model is named '{name}'", cure=f"There are: {known}.")
        edges = {
            each.id: (
                [(edge.relation, edge.source) for edge in catalog.upstream(ctx, each.id)],
                [(edge.relation, edge.target) for edge in catalog.downstream(ctx, each.id)],
            )
            for each in versions
        }
        may_measure = requests.allowed(ctx, Action.TRACKING_READ)
        found = releases.list(ctx, model_name=name, limit=20).items
        now = ctx.now
    measured, silent = _measured(request, versions) if may_measure else ({}, "")
    rows = [Row(each, *measured.get(each.version, ({}, {})), *edges[each.id]) for each in versions]
    names = sorted({metric for row in rows for metric in row.metrics})
    return rendering.page(
        request, "model.html", now=now, name=name, rows=rows, metric_names=names[:12], releases=found, silent=silent,
        may_measure=may_measure,
    )  # fmt: skip


_Measured = dict[str, tuple[dict[str, float], dict[str, str]]]


def _measured(request: Request, versions: list[model.ModelVersion]) -> tuple[_Measured, str]:
    """Metrics and parameters of the newest versions' runs, outside of any transaction; else why there are none."""
    found: _Measured = {}
    for each in versions[:MEASURED]:
        if each.run_id:
            try:
                port = requests.contexts(request).port(tracking.Tracking).of(each.workspace)
                found[each.version] = (port.metrics(each.run_id), port.params(each.run_id))
            except errors.NotFound:
                continue
            except errors.Unavailable as error:
                return found, error.what
    return found, ""
