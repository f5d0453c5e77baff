"""Promotion bundles out and in, and the keys that they are trusted by."""

from __future__ import annotations

from typing import Any

from fastapi import Body, Request

from doubleloop.api import render, requests, routing
from doubleloop.api.routing import needs
from doubleloop.bundles import commands, model, queries, signing
from doubleloop.identity.actions import Action

router = routing.router("/api/v1")


def _bundle(value: model.Bundle) -> dict[str, Any]:
    return {
        "digest": value.digest, "release": value.release, "workspace": value.workspace, "model": value.model,
        "version": value.version, "key": value.key, "signature": value.signature, "authors": list(value.authors),
        "files": value.files, "size": value.size, "imported": value.imported, "created_by": value.created_by,
        "created_at": render.plain(value.created_at),
    }  # fmt: skip


def _key(value: model.TrustedKey) -> dict[str, Any]:
    return {
        "id": value.id, "name": value.name, "public": value.public, "added_by": value.added_by,
        "added_at": render.plain(value.added_at),
    }  # fmt: skip


@router.get("/bundles", openapi_extra=needs(Action.MODEL_READ))
def list_bundles(request: Request, model: str | None = None, release: str | None = None) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        return requests.listing(queries.list(ctx, model, release), _bundle)


@router.post("/bundles", openapi_extra=needs(Action.MODEL_WRITE))
def import_bundle(request: Request, body: dict[str, Any] = Body()) -> dict[str, Any]:
    """Its files are uploaded before, like all content."""
    requests.refuse_unknown(body, "manifest", "key", "signature")
    made = commands.admit(
        requests.contexts(request), requests.actor(request), requests.text(body, "manifest"),
        requests.text(body, "key"), requests.text(body, "signature"),
    )  # fmt: skip
    return _bundle(made)


@router.get("/bundles/{digest}", openapi_extra=needs(Action.MODEL_READ))
def show_bundle(request: Request, digest: str) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        made = queries.find(ctx, digest)
        queries.verify(ctx, made)
        return {**_bundle(made), "manifest": queries.manifest(ctx, made)}


@router.post("/bundles/{digest}/export", openapi_extra=needs(Action.MODEL_READ))
def export_bundle(request: Request, digest: str) -> dict[str, Any]:
    """The text that was signed, as it was signed; its files are fetched like all content."""
    with requests.writing(request) as ctx:
        made, text, public = commands.export(ctx, digest)
    return {**_bundle(made), "manifest": text, "public": public}


@router.get("/bundle-keys", openapi_extra=needs(Action.MODEL_READ))
def list_keys(request: Request) -> dict[str, Any]:
    """``own`` is this installation's: give it to those who are to take its bundles."""
    with requests.reading(request) as ctx:
        own = queries.own_key(ctx)
        return {**requests.listing(queries.keys(ctx), _key), "own": {"id": signing.key_id(own), "public": own}}


@router.post("/bundle-keys", openapi_extra=needs(Action.IDENTITY_WRITE))
def trust_key(request: Request, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "name", "public")
    with requests.writing(request) as ctx:
        return _key(commands.trust(ctx, requests.text(body, "name"), requests.text(body, "public")))


@router.delete("/bundle-keys/{id}", openapi_extra=needs(Action.IDENTITY_WRITE))
def distrust_key(request: Request, id: str) -> dict[str, Any]:
    with requests.writing(request) as ctx:
        commands.distrust(ctx, id)
    return {}
