"""Logging in by an OpenID Connect provider, over real HTTP: what is believed of it, and what never is."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import oidc_server
import pytest
from joserfc import jwk, jwt
from oidc_server import CLIENT, SECRET, Site

from doubleloop.base import actors, errors
from doubleloop.db.context import Contexts
from doubleloop.events import queries as events
from doubleloop.identity import commands, federation, model, oidc, queries
from doubleloop.identity.model import Persona
from doubleloop.settings import model as settings

GATE = actors.service("gate")
HOUR = timedelta(hours=1)
BACK = "http://console.test/login/oidc/callback"


@pytest.fixture(scope="module")
def running() -> Iterator[Site]:
    with oidc_server.serve() as site:
        yield site


@pytest.fixture
def site(running: Site) -> Site:
    """The honest provider again, whatever the test before made of it."""
    fresh = Site(running.issuer, keys=running.keys)
    vars(running).update(vars(fresh))
    return running


def configured(site: Site, **more: Any) -> settings.Settings:
    chosen = {
        "oidc_issuer": site.issuer, "oidc_client_id": CLIENT, "oidc_client_secret": SECRET, "oidc_create_users": "yes",
        "oidc_groups": "theirs-science=science, theirs-leads=leads", **more,
    }  # fmt: skip
    return settings.Settings(**chosen)


def provider(site: Site, **more: Any) -> oidc.Provider:
    found = oidc.config(configured(site, **more))
    assert found is not None
    return oidc.Provider(found)


def walk(house: Any, at: oidc.Provider, **more: Any) -> federation.Entered:
    """A whole login in one browser."""
    url, _ = federation.begin(house.contexts, GATE, at, BACK, browser="visit", **more)
    said = oidc_server.answer(httpx.get(url).headers["location"])
    return federation.finish(house.contexts, GATE, at, said["state"], said["code"], HOUR, browser="visit")


def members(house: Any, name: str) -> tuple[str, ...]:
    with house.read("linus", None) as ctx:
        return next(group.members for group in queries.groups(ctx) if group.name == name)


@pytest.fixture
def grouped(house: Any) -> Any:
    with house.write("service:setup", None) as ctx:
        for name, persona in (("science", Persona.DATA_SCIENTIST), ("leads", Persona.PROJECT_LEAD)):
            commands.put_group(ctx, model.Group(name, persona, ("ada",), ("dev",)))
        commands.put_group(ctx, model.Group("others", Persona.DATA_ANALYST, ("ada",), ("dev",)))
        commands.create_user(ctx, "root", is_admin=True)
    return house


def test_a_first_login_makes_a_user_in_the_groups_that_the_provider_says(grouped: Any, site: Site) -> None:
    site.person |= {"name": "Mary S.", "groups": ["theirs-science", "unheard-of", 7], "email": "ada@example.org"}
    entered = walk(grouped, provider(site), next_="/releases")
    assert (entered.user, entered.next) == ("mary", "/releases")
    with grouped.read("linus", None) as ctx:
        assert commands.authenticate(ctx, entered.secret) == actors.Actor("mary", via="session")
        user = next(each for each in queries.users(ctx) if each.name == "mary")
        assert (user.display_name, user.is_admin) == ("Mary S.", False)
        (made,) = events.facts(ctx, subject="user:mary", types=["user.created"])
        assert (made.data["issuer"], made.data["known_as"]) == (site.issuer, "u-1")
    assert members(grouped, "science") == ("ada", "mary")
    assert members(grouped, "leads") == members(grouped, "others") == ("ada",)


def test_membership_follows_the_provider_at_each_login_and_only_of_mapped_groups(grouped: Any, site: Site) -> None:
    at = provider(site)
    for said, science, leads in (
        (["theirs-science"], True, False), (["theirs-leads"], False, True), ("theirs-science", True, False),
        (None, False, False), ({"odd": 1}, False, False),
    ):  # fmt: skip
        site.person["groups"] = said
        walk(grouped, at)
        assert ("mary" in members(grouped, "science"), "mary" in members(grouped, "leads")) == (science, leads), said
    with grouped.write("service:setup", None) as ctx:
        commands.put_group(ctx, model.Group("others", Persona.DATA_ANALYST, ("ada", "mary"), ("dev",)))
    walk(grouped, at)
    assert members(grouped, "others") == ("ada", "mary")
    assert members(grouped, "science") == ("ada",)  # nobody else is touched


def test_groups_that_only_the_user_info_has_are_found_there(grouped: Any, site: Site) -> None:
    site.info = {"sub": "u-1", "groups": ["theirs-leads"]}
    walk(grouped, provider(site))
    assert "mary" in members(grouped, "leads")
    site.info = {"sub": "u-2", "groups": ["theirs-leads"]}
    with pytest.raises(errors.NotAuthenticated, match="somebody else"):
        walk(grouped, provider(site))


def test_people_are_known_by_issuer_and_subject_and_by_nothing_else(grouped: Any, site: Site) -> None:
    at = provider(site)
    assert walk(grouped, at).user == "mary"
    site.person = {"sub": "u-1", "preferred_username": "renamed", "email": "root@example.org"}
    assert walk(grouped, at).user == "mary"
    for taken in ("ada", "root", "mary"):
        site.person = {"sub": "u-2", "preferred_username": taken, "email": "ada@example.org", "email_verified": True}
        with pytest.raises(errors.NotAuthenticated, match=f"A user {taken} is here already"):
            walk(grouped, at)
    site.person = {"sub": "u-3", "preferred_username": "service:jobs"}
    assert walk(grouped, at).user == "service-jobs"
    site.person = {"sub": "../../u 4"}
    assert walk(grouped, at).user == "u-4"


def test_an_administrator_is_never_somebody_of_the_provider(grouped: Any, site: Site) -> None:
    with grouped.write("root", None) as ctx, pytest.raises(errors.NotPermitted, match="password alone"):
        federation.link(ctx, "root", site.issuer, "u-1")
    with grouped.write("linus", None) as ctx:
        federation.link(ctx, "ada", site.issuer, "u-1")
        with pytest.raises(errors.Conflict):
            federation.link(ctx, "eve", site.issuer, "u-1")
    at = provider(site)
    assert walk(grouped, at).user == "ada"
    from doubleloop.identity import store

    with grouped.write("service:setup", None) as ctx:
        store.update_user(ctx, "ada", is_admin=True)
    with pytest.raises(errors.NotAuthenticated, match="administers"):
        walk(grouped, at)


def test_who_is_not_known_is_refused_unless_the_settings_make_users(grouped: Any, site: Site) -> None:
    at = provider(site, oidc_create_users="no")
    with pytest.raises(errors.NotAuthenticated, match="Nobody here is subject 'u-1'"):
        walk(grouped, at)
    with grouped.write("linus", None) as ctx:
        federation.link(ctx, "eve", site.issuer, "u-1")
    assert walk(grouped, at).user == "eve"
    with grouped.write("linus", None) as ctx:
        federation.unlink(ctx, "eve")
    with pytest.raises(errors.NotAuthenticated):
        walk(grouped, at)
    with grouped.write("ada", None) as ctx, pytest.raises(errors.NotPermitted):
        federation.link(ctx, "grace", site.issuer, "u-1")


def test_a_disabled_user_does_not_come_in_by_the_provider(grouped: Any, site: Site) -> None:
    at = provider(site)
    walk(grouped, at)
    with grouped.write("linus", None) as ctx:
        commands.disable_user(ctx, "mary", True)
    with pytest.raises(errors.NotAuthenticated, match="mary is disabled"):
        walk(grouped, at)


def _wrong(name: str, value: Any) -> Any:
    return lambda claims: claims.pop(name) if value is None else claims.update({name: value})


NOW = int(time.time())


@pytest.mark.parametrize(
    "change",
    [
        _wrong("iss", "https://evil.example"), _wrong("iss", None), _wrong("aud", "another"), _wrong("aud", None),
        _wrong("aud", [CLIENT, "another"]), _wrong("aud", []), _wrong("azp", "another"), _wrong("exp", NOW - 600),
        _wrong("exp", None), _wrong("exp", "later"), _wrong("iat", NOW + 6000), _wrong("iat", None),
        _wrong("nbf", NOW + 6000), _wrong("nonce", "another"), _wrong("nonce", None), _wrong("sub", None),
        _wrong("sub", ""), _wrong("sub", 7), _wrong("sub", "x" * 300), _wrong("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"),
    ],
)  # fmt: skip
def test_a_token_that_says_something_wrong_is_refused(house: Any, site: Site, change: Any) -> None:
    site.change = change
    with pytest.raises(errors.NotAuthenticated):
        walk(house, provider(site))


def _by_secret(claims: dict[str, Any]) -> str:
    key = jwk.import_key(SECRET, "oct")
    return jwt.encode({"alg": "HS256"}, claims, key, algorithms=["HS256"])


def test_a_token_that_the_provider_did_not_sign_is_refused(house: Any, site: Site) -> None:
    at = provider(site)
    honest = site.keys[0]
    other = jwk.generate_key("RSA", 2048, {"kid": honest.kid})

    def forged(claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": honest.kid}, claims, other, algorithms=["RS256"])

    def by_public_key(claims: dict[str, Any]) -> str:
        """The oldest trick: the public key as the secret of an HMAC."""
        text = oidc_server.unsigned(claims, alg="HS256", kid=honest.kid).rstrip(".")
        mark = hmac.digest(honest.as_pem(private=False), text.encode(), "sha256")
        return f"{text}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}"

    def with_its_own_key(claims: dict[str, Any]) -> str:
        header = {"alg": "RS256", "kid": "mine", "jwk": other.as_dict(private=False), "jku": f"{site.issuer}/mine"}
        return jwt.encode(header, claims, other, algorithms=["RS256"])

    def altered(claims: dict[str, Any]) -> str:
        header, _, mark = jwt.encode({"alg": "RS256", "kid": honest.kid}, claims, honest).split(".")
        return f"{header}.{oidc_server.unsigned({**claims, 'sub': 'root'}).split('.')[1]}.{mark}"

    def without_a_key_named(claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256"}, claims, honest, algorithms=["RS256"])

    for sign in (
        forged, by_public_key, with_its_own_key, altered, _by_secret, oidc_server.unsigned,
        lambda claims: oidc_server.unsigned(claims, alg="None"), lambda claims: oidc_server.unsigned(claims, alg=[]),
        lambda claims: "x.y.z", lambda claims: "", lambda claims: oidc_server.unsigned([]),  # type: ignore[arg-type]
    ):  # fmt: skip
        site.sign = sign
        with pytest.raises(errors.NotAuthenticated):
            walk(house, at)
    site.sign = without_a_key_named
    assert walk(house, at).user == "mary"


@pytest.mark.parametrize(
    ("kind", "size", "algorithm"), [("EC", "P-256", "ES256"), ("OKP", "Ed25519", "EdDSA"), ("RSA", 2048, "PS256")]
)
def test_keys_of_every_kind_and_after_a_change_are_found(
    house: Any, site: Site, kind: str, size: Any, algorithm: str
) -> None:
    clock = [time.time()]
    found = oidc.config(configured(site))
    assert found is not None
    at = oidc.Provider(found, lambda: clock[0])
    site.clock = lambda: clock[0]
    assert walk(house, at).user == "mary"
    site.rotate(kind, size)
    site.algorithm = algorithm
    with pytest.raises(errors.NotAuthenticated, match="not signed"):
        walk(house, at)  # it does not ask for keys again at every bad token
    asked = site.calls.count("/keys")
    clock[0] += oidc.LOOK_AGAIN
    assert walk(house, at).user == "mary"
    assert site.calls.count("/keys") == asked + 1
    old = site.keys
    site.rotate()
    site.keys, site.algorithm = [*site.keys, *old], "RS256"
    clock[0] += oidc.KEPT + 1
    assert walk(house, at).user == "mary"


def test_a_state_works_once_in_one_browser_and_for_ten_minutes(house: Any, site: Site) -> None:
    at = provider(site)

    def begun(contexts: Contexts = house.contexts) -> dict[str, str]:
        url, _ = federation.begin(contexts, GATE, at, BACK, browser="visit")
        return oidc_server.answer(httpx.get(url).headers["location"])

    def finish(state: str, code: str, contexts: Contexts = house.contexts, **more: Any) -> str:
        return federation.finish(contexts, GATE, at, state, code, HOUR, **{"browser": "visit", **more}).user

    said = begun()
    assert finish(**said) == "mary"
    fresh = begun()
    later = Contexts(house.contexts.engine, house.ports, lambda: datetime.now(UTC) + federation.LASTS)
    attempts: list[tuple[dict[str, str], dict[str, Any]]] = [
        (said, {}), ({"state": "made up", "code": begun()["code"]}, {}), (fresh, {"browser": "another"}), (fresh, {}),
        (begun(), {"browser": None}), (begun(), {"verifier": "my own" * 10}), (begun(), {"contexts": later}),
    ]  # fmt: skip
    for each, more in attempts:
        with pytest.raises(errors.NotAuthenticated, match="not under way"):
            finish(**each, **more)
    # A code that was used, in a new login; another login's code, whose verifier and nonce do not fit.
    for code in (said["code"], begun()["code"], ""):
        with pytest.raises(errors.NotAuthenticated, match="invalid_grant"):
            finish(begun()["state"], code)


def test_a_token_of_another_login_is_refused_by_its_nonce(house: Any, site: Site) -> None:
    at = provider(site)
    kept: list[str] = []

    def keep(claims: dict[str, Any]) -> str:
        kept.append(jwt.encode({"alg": "RS256", "kid": site.keys[0].kid}, claims, site.keys[0]))
        return kept[0]

    site.sign = keep
    assert walk(house, at).user == "mary"
    with pytest.raises(errors.NotAuthenticated, match="nonce"):
        walk(house, at)


def test_a_program_keeps_its_verifier_and_a_stolen_code_is_of_no_use(house: Any, site: Site) -> None:
    at, verifier = provider(site), "a" * 50
    url, state = federation.begin(house.contexts, GATE, at, BACK, challenge=oidc_server.digest(verifier))
    code = oidc_server.answer(httpx.get(url).headers["location"])["code"]
    with pytest.raises(errors.NotAuthenticated):
        federation.finish(house.contexts, GATE, at, state, code, HOUR, verifier="b" * 50)
    url, state = federation.begin(house.contexts, GATE, at, BACK, challenge=oidc_server.digest(verifier))
    code = oidc_server.answer(httpx.get(url).headers["location"])["code"]
    assert federation.finish(house.contexts, GATE, at, state, code, HOUR, verifier=verifier).user == "mary"
    with pytest.raises(errors.InvalidInput, match="S256"):
        federation.begin(house.contexts, GATE, at, BACK, challenge="plain")


def test_a_code_typed_elsewhere_logs_in_once(house: Any, site: Site) -> None:
    at, now = provider(site), [datetime.now(UTC)]
    contexts = Contexts(house.contexts.engine, house.ports, lambda: now[0])

    def ask() -> Any:
        now[0] += timedelta(seconds=30)
        return federation.finish_device(contexts, GATE, at, state, HOUR)

    device, state = federation.begin_device(contexts, GATE, at)
    assert (device.user_code, ask()) == ("WXYZ-1234", 1)
    asked = site.calls.count("/token")
    assert federation.finish_device(contexts, GATE, at, state, HOUR) == 1
    assert site.calls.count("/token") == asked  # too early: the provider is not bothered
    site.devices[device.device_code] = "slow_down"
    assert ask() == 6
    site.devices[device.device_code] = "yes"
    assert ask().user == "mary"
    with pytest.raises(errors.NotAuthenticated, match="not under way"):
        ask()
    device, state = federation.begin_device(contexts, GATE, at)
    site.devices[device.device_code] = "access_denied"
    with pytest.raises(errors.NotAuthenticated, match="access_denied"):
        ask()
    with pytest.raises(errors.NotAuthenticated, match="not under way"):
        federation.finish(contexts, GATE, at, state, "code", HOUR)
    site.has_devices = False
    with pytest.raises(errors.NotSupported):
        federation.begin_device(contexts, GATE, provider(site))


def test_a_provider_that_calls_itself_otherwise_or_is_away_is_not_used(house: Any, site: Site) -> None:
    site.called = f"{site.issuer}/"
    with pytest.raises(errors.Unavailable, match="calls itself"):
        walk(house, provider(site))
    away = oidc.config(settings.Settings(oidc_issuer="http://127.0.0.1:9", oidc_client_id="x"))
    assert away is not None
    with pytest.raises(errors.Unavailable, match="does not answer"):
        walk(house, oidc.Provider(away))


def test_settings_that_cannot_be_are_refused(tmp_path: Path) -> None:
    assert oidc.config(settings.Settings()) is None
    good: dict[str, Any] = {"oidc_issuer": "https://login.example", "oidc_client_id": "x"}
    for wrong in (
        {"oidc_client_id": ""}, {"oidc_issuer": "http://login.example"}, {"oidc_issuer": "login.example"},
        {"oidc_create_users": "true"}, {"oidc_groups": "science"}, {"oidc_groups": "a="},
    ):  # fmt: skip
        with pytest.raises(errors.InvalidInput):
            oidc.config(settings.Settings(**{**good, **wrong}))
    with pytest.raises(errors.NotSupported, match="no login by OpenID Connect"):
        oidc.of(settings.Settings())
    assert "s3cr3t" not in repr(settings.Settings(**good, oidc_client_secret="s3cr3t"))


def test_the_clients_secret_is_read_from_a_file_at_each_use(house: Any, site: Site, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    at = provider(site, oidc_client_secret="", oidc_client_secret_file=str(file))
    with pytest.raises(errors.Unavailable, match="cannot be read"):
        walk(house, at)
    file.write_text(f"{SECRET}\n")
    assert walk(house, at).user == "mary"


def test_logins_that_strangers_begin_are_bounded(house: Any, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(federation, "MOST", 3)
    at = provider(site)
    for _ in range(3):
        federation.begin(house.contexts, GATE, at, BACK)
    with pytest.raises(errors.Unavailable, match="Too many logins"):
        federation.begin(house.contexts, GATE, at, BACK)
    later = Contexts(house.contexts.engine, house.ports, lambda: datetime.now(UTC) + federation.LASTS)
    federation.begin(later, GATE, at, BACK)
