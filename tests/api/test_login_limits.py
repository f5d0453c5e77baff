"""Guessing passwords at the API: after some wrong ones the next try waits, whoever and from wherever."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from api_server import SETUP, Served

from doubleloop.base import errors
from doubleloop.events import queries as events
from doubleloop.identity import commands as identity
from doubleloop.identity import limits

PASSWORD = "a long enough password"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_who_guesses_has_to_wait_and_is_on_record(served: Served) -> None:
    with served.contexts.write(SETUP) as ctx:
        for user in ("ada", "grace"):
            identity.set_password(ctx, user, PASSWORD)
    stranger = served.as_(None)
    for number in range(limits.TRIES):
        answer = stranger.post("/api/v1/login", json={"user": "ada", "password": f"wrong {number}"})
        assert (answer.status_code, answer.json()["error"]["message"]) == (401, "User name or password is wrong")
    answer = stranger.post("/api/v1/login", json={"user": "ada", "password": PASSWORD})
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_tries")
    assert 200 < int(answer.headers["retry-after"]) <= 301
    # MLflow's door counts with it, and another name is not kept out.
    basic = base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
    refused = stranger.get("/mlflow/w/dev/health", headers={"authorization": f"Basic {basic}"})
    assert refused.status_code == 429
    assert stranger.post("/api/v1/login", json={"user": "grace", "password": PASSWORD}).status_code == 200
    with served.contexts.read(SETUP) as ctx:
        assert len(events.facts(ctx, types=["access.denied"])) == limits.TRIES + 2


def test_a_name_is_guarded_from_many_addresses_and_an_address_over_many_names() -> None:
    limiter = limits.Limiter()
    for number in range(limits.TRIES_OF_NAME):
        assert limiter.wait("ada", f"host-{number}", NOW) is None
        limiter.failed("ada", f"host-{number}", NOW)
    assert limiter.wait("ada", "another", NOW) and not limiter.wait("grace", "another", NOW)
    limiter = limits.Limiter()
    for number in range(limits.TRIES_OF_ADDRESS):
        limiter.failed(f"user-{number}", "host", NOW)
    assert limiter.wait("ada", "host", NOW) and not limiter.wait("ada", "another", NOW)


def test_the_wait_ends_and_a_login_forgets_it() -> None:
    limiter = limits.Limiter()
    for second in range(limits.TRIES):
        assert limiter.wait("eve", "host", NOW) is None
        limiter.failed("eve", "host", NOW + timedelta(seconds=second))
    assert limiter.wait("eve", "host", NOW + timedelta(seconds=10)) == limits.WITHIN - timedelta(seconds=10)
    assert limiter.wait("eve", "host", NOW + limits.WITHIN) is None
    limiter.forget("eve", "host")
    assert limiter.wait("eve", "host", NOW + timedelta(seconds=10)) is None
    with pytest.raises(errors.NotAuthenticated), limiter.counting("eve", "host", NOW):
        raise errors.NotAuthenticated("no")
    assert limiter.wait("eve", "host", NOW) is None
