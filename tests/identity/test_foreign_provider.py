"""A login at an OpenID Connect provider that others wrote: discovery, PKCE, nonce and keys as it has them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import oidc_provider_mock as foreign
import pytest
from oidc_server import answer

from doubleloop.base import actors, errors
from doubleloop.identity import commands, federation, model, oidc, queries
from doubleloop.settings.model import Settings

GATE = actors.service("gate")
BACK = "http://console.test/login/oidc/callback"


@pytest.fixture
def provider() -> Iterator[oidc.Provider]:
    mary = foreign.User(sub="m-1", claims={"preferred_username": "mary", "name": "Mary S.", "groups": ["theirs"]})
    with foreign.run_server_in_thread(require_nonce=True, user_claims=[mary]) as server:
        found = oidc.config(
            Settings(
                oidc_issuer=f"http://localhost:{server.server_port}", oidc_client_id="doubleloop",
                oidc_client_secret="s3cr3t", oidc_create_users="yes", oidc_groups="theirs=science",
            )
        )  # fmt: skip
        assert found is not None
        yield oidc.Provider(found)


def agreed(url: str, sub: str) -> dict[str, str]:
    """A person says who they are, and the provider sends the browser back."""
    return answer(httpx.post(url, data={"sub": sub}).headers["location"])


def test_a_person_of_a_foreign_provider_comes_in_with_their_groups(house: Any, provider: oidc.Provider) -> None:
    with house.write("service:setup", None) as ctx:
        commands.put_group(ctx, model.Group("science", model.Persona.DATA_SCIENTIST, (), ("dev",)))
    url, _ = federation.begin(house.contexts, GATE, provider, BACK, browser="visit")
    said = agreed(url, "m-1")
    hour = timedelta(hours=1)
    entered = federation.finish(house.contexts, GATE, provider, said["state"], said["code"], hour, browser="visit")
    assert entered.user == "mary"
    with house.read("linus", None) as ctx:
        assert commands.authenticate(ctx, entered.secret).id == "mary"
        assert next(each.members for each in queries.groups(ctx) if each.name == "science") == ("mary",)
    with pytest.raises(errors.NotAuthenticated):  # a code works once
        federation.finish(house.contexts, GATE, provider, said["state"], said["code"], hour, browser="visit")


def test_a_code_that_the_provider_did_not_give_is_of_no_use(house: Any, provider: oidc.Provider) -> None:
    url, _ = federation.begin(house.contexts, GATE, provider, BACK, browser="visit")
    said = agreed(url, "m-1")
    with pytest.raises(errors.NotAuthenticated):
        federation.finish(
            house.contexts, GATE, provider, said["state"], "made-up", timedelta(hours=1), browser="visit"
        )  # fmt: skip
