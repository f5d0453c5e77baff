"""Rights that somebody asks for just in time: what waits for the reader, and their yes or no."""

from __future__ import annotations

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from doubleloop.base import errors
from doubleloop.console import requests
from doubleloop.console.requests import needs
from doubleloop.identity import activations
from doubleloop.identity.actions import Action

router = APIRouter()


@router.post("/activations/{id}/decision", openapi_extra=needs(Action.IDENTITY_WRITE))
def decide(request: Request, id: str, decision: str = Form(""), csrf: str = Form("")) -> Response:
    requests.actor(request)
    requests.check_form(request, csrf)
    if decision not in ("approve", "reject"):
        raise errors.InvalidInput(f"'{decision}' is not a decision", cure="Use the buttons of the page.")
    with requests.writing(request) as ctx:
        activations.decide(ctx, id, decision == "approve")
    return RedirectResponse("/", 303)
