"""Data versions: which there are, what a version's table holds, and what changed since another."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request, Response

from doubleloop.base import errors
from doubleloop.console import charts, rendering, requests
from doubleloop.console.requests import needs
from doubleloop.data import model, queries
from doubleloop.identity.actions import Action

router = APIRouter()

LOOK_S = 0.5


@dataclass(frozen=True)
class Column:
    """One column of the report, and how its values spread."""

    about: dict[str, Any]
    bars: list[charts.Bar]


@router.get("/data", openapi_extra=needs(Action.DATA_READ))
def index(request: Request) -> Response:
    with requests.reading(request) as ctx:
        places = requests.places(ctx, Action.DATA_READ, registries=True)
        found = [
            (place, each)
            for place in places
            for each in queries.names(ctx.in_workspace(place))
            if each.asset.workspace == place
        ]
        return rendering.page(request, "datasets.html", now=ctx.now, found=found, places=places)


@router.get("/data/{ws}/{name}", openapi_extra=needs(Action.DATA_READ))
def newest(request: Request, ws: str, name: str) -> Response:
    with requests.reading(request, ws) as ctx:
        found = queries.resolve(ctx, f"azureml:{name}@latest")
    return show(request, ws, name, found.asset.version)


@router.get("/data/{ws}/{name}/{version}", openapi_extra=needs(Action.DATA_READ))
def show(request: Request, ws: str, name: str, version: str, target: str = "", against: str = "") -> Response:
    """``target``: the column that a model would learn; ``against``: another version to compare with."""
    with requests.reading(request, ws) as ctx:
        found = queries.resolve(ctx, f"azureml:{name}:{version}")
        versions = [each for each in queries.versions(ctx, name) if each.asset.workspace == found.asset.workspace]
        now, waits = ctx.now, queries.is_large(ctx, found)
    told = _told(None, "") if waits else _told(*_explored(request, ws, found, target.strip(), against.strip()))
    return rendering.page(
        request, "dataset.html", now=now, ws=ws, found=found, versions=versions, target=target, against=against,
        waits=waits, **told,
    )  # fmt: skip


@router.get("/data/{ws}/{name}/{version}/report", openapi_extra=needs(Action.DATA_READ))
async def report(request: Request, ws: str, name: str, version: str, target: str = "", against: str = "") -> Response:
    """The part of the page that takes long; when its reader goes away, it is ended."""
    stop = threading.Event()

    def work() -> Response:
        with requests.reading(request, ws) as ctx:
            found, now = queries.resolve(ctx, f"azureml:{name}:{version}"), ctx.now
        told = _told(*_explored(request, ws, found, target.strip(), against.strip(), stop))
        return rendering.page(request, "dataset_report.html", now=now, against=against, **told)

    async def watch() -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(LOOK_S)
        stop.set()

    watching = asyncio.create_task(watch())
    try:
        return await anyio.to_thread.run_sync(work)
    finally:
        watching.cancel()


def _told(report: dict[str, Any] | None, silent: str) -> dict[str, Any]:
    columns = [_column(each) for each in (report or {}).get("columns", ())]
    return {"report": report, "silent": silent, "columns": columns}


def _explored(
    request: Request, ws: str, found: model.DataVersion, target: str, against: str,
    stop: threading.Event | None = None,
) -> tuple[dict[str, Any] | None, str]:  # fmt: skip
    """The report, outside of any transaction; else why there is none."""
    name = found.asset.name
    try:
        return queries.explore(
            requests.contexts(request), requests.actor(request), ws, f"azureml:{name}:{found.asset.version}",
            target or None, f"azureml:{name}:{against}" if against else None, stop=stop,
        ), ""  # fmt: skip
    except (errors.InvalidInput, errors.NotFound, errors.Unavailable) as error:
        return None, f"{error.what}. {error.cure or ''}".strip()


def _column(about: dict[str, Any]) -> Column:
    spread = about.get("histogram")
    if spread:
        counts, edges = spread["counts"], spread["edges"]
        most, width = max([1, *counts]), 100.0 / max(1, len(counts))
        bars = [
            charts.Bar(edges[place], edges[place + 1], count, round(place * width, 3), round(width, 3),
                       round(100.0 * count / most, 3))
            for place, count in enumerate(counts)
        ]  # fmt: skip
        return Column(about, bars)
    return Column(about, [])
