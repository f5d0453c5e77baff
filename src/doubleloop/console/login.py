"""Logging in and out."""

from __future__ import annotations

import secrets
from datetime import timedelta
from urllib.parse import quote

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from doubleloop.base import errors
from doubleloop.console import rendering, requests
from doubleloop.console.requests import OPEN, OWN, needs
from doubleloop.identity import commands as identity
from doubleloop.identity import federation, oidc
from doubleloop.identity.limits import Limiter

router = APIRouter()


def safe_next(path: str) -> str:
    """The path to go on to: one of ours, whatever the address line said."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\", "/login", "/logout"))
    return path if is_ours and "\n" not in path and "\r" not in path else "/"


def to_login(request: Request) -> Response:
    """Send who is not logged in to the form, and back afterwards."""
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    address = f"/login?next={quote(target)}" if request.method == "GET" and target != "/" else "/login"
    if request.headers.get("hx-request") == "true":
        return Response(status_code=401, headers={"hx-redirect": "/login"})
    return RedirectResponse(address, 303)


def _form(request: Request, next_: str, status: int = 200, user: str = "", message: str = "") -> Response:
    visit = request.cookies.get(requests.VISIT_COOKIE) or secrets.token_urlsafe(24)
    answer = rendering.page(
        request, "login.html", status, next=safe_next(next_), user=user, message=message,
        csrf=requests.csrf(request, visit), me=None, provider=_provider(request),
    )  # fmt: skip
    _set_cookie(request, answer, requests.VISIT_COOKIE, visit, 3600)
    return answer


def _provider(request: Request) -> str | None:
    """Words of the button, where there is a provider."""
    settings = requests.settings(request)
    return settings.oidc_label if settings.oidc_issuer else None


def _set_cookie(request: Request, answer: Response, name: str, value: str, seconds: int) -> None:
    answer.set_cookie(
        name, value, max_age=seconds, httponly=True, samesite="lax", secure=request.url.scheme == "https", path="/"
    )


@router.get("/login", openapi_extra=needs(OPEN))
def show(request: Request, next: str = "/") -> Response:
    return _form(request, next)


@router.get("/login/oidc", openapi_extra=needs(OPEN))
def begin_oidc(request: Request, next: str = "/") -> Response:
    """On to the provider; the way back is bound to this browser by the cookie of its visit."""
    visit = request.cookies.get(requests.VISIT_COOKIE) or secrets.token_urlsafe(24)
    try:
        url, _ = federation.begin(
            requests.contexts(request), requests.gate(request), oidc.of(requests.settings(request)), _way_back(request),
            browser=visit, next_=safe_next(next),
        )  # fmt: skip
    except (errors.Unavailable, errors.NotSupported, errors.InvalidInput) as error:
        return _form(request, next, error.status, message=f"{error.what}.")
    leave = RedirectResponse(url, 303)
    _set_cookie(request, leave, requests.VISIT_COOKIE, visit, 3600)
    return leave


def _way_back(request: Request) -> str:
    base = requests.settings(request).public_url or str(request.base_url)
    return f"{base.rstrip('/')}/login/oidc/callback"


@router.get("/login/oidc/callback", openapi_extra=needs(OPEN))
def finish_oidc(request: Request, state: str = "", code: str = "", error: str = "") -> Response:
    lifetime = timedelta(hours=requests.settings(request).session_hours)
    try:
        if error:
            raise errors.NotAuthenticated(f"The provider refused ({error[:80]})")
        entered = federation.finish(
            requests.contexts(request), requests.gate(request), oidc.of(requests.settings(request)), state, code,
            lifetime, browser=request.cookies.get(requests.VISIT_COOKIE, ""),
        )  # fmt: skip
    except errors.NotAuthenticated as refusal:
        requests.record_denial(request, refusal)
        return _form(request, "/", 401, message=f"{refusal}. Nothing was logged in.")
    except (errors.Unavailable, errors.NotSupported) as failure:
        return _form(request, "/", failure.status, message=f"{failure.what}.")
    return _logged_in(request, entered.secret, lifetime, entered.next)


@router.post("/login", openapi_extra=needs(OPEN))
def log_in(
    request: Request, user: str = Form(""), password: str = Form(""), csrf: str = Form(""), next: str = Form("/")
) -> Response:
    requests.check_form(request, csrf)
    limiter: Limiter = request.app.state.limiter
    contexts = requests.contexts(request)
    lifetime = timedelta(hours=requests.settings(request).session_hours)
    request.state.claimed = user
    address = request.client.host if request.client else ""
    try:
        with limiter.counting(user, address, contexts.now()), contexts.read(requests.gate(request)) as ctx:
            identity.check_password(ctx, user, password)
    except errors.TooManyTries as error:
        requests.record_denial(request, error)
        answer = _form(request, next, 429, user, f"{error.what}.")
        answer.headers["retry-after"] = str(error.seconds)
        return answer
    except errors.NotAuthenticated as error:
        requests.record_denial(request, error)
        return _form(request, next, 401, user, f"{error.what}. Nothing was logged in.")
    with contexts.write(requests.gate(request)) as ctx:
        secret = identity.open_session(ctx, user, lifetime)
    return _logged_in(request, secret, lifetime, next)


def _logged_in(request: Request, secret: str, lifetime: timedelta, next_: str) -> Response:
    done = RedirectResponse(safe_next(next_), 303)
    _set_cookie(request, done, requests.SESSION_COOKIE, secret, int(lifetime.total_seconds()))
    done.delete_cookie(requests.VISIT_COOKIE, path="/")
    return done


@router.post("/logout", openapi_extra=needs(OWN))
def log_out(request: Request, csrf: str = Form("")) -> Response:
    requests.actor(request)
    requests.check_form(request, csrf)
    with requests.writing(request) as ctx:
        identity.end_session(ctx, request.cookies.get(requests.SESSION_COOKIE, ""))
    done = RedirectResponse("/login", 303)
    done.delete_cookie(requests.SESSION_COOKIE, path="/")
    return done
