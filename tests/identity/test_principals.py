"""Processes: those of the system have what they need and nothing more; those that people make hold tokens alone."""

from __future__ import annotations

import ast
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import doubleloop
from doubleloop.base import actors, errors
from doubleloop.events import queries as events
from doubleloop.identity import assignments, commands, deciding, model, policies, principals, services
from doubleloop.identity.actions import Action
from doubleloop.identity.model import Persona

SOURCE = Path(doubleloop.__file__).parent
CI = actors.service("ci")


@pytest.fixture
def shop(house: Any) -> Any:
    """An administrator, and service:ci of linus's."""
    with house.write("service:setup", None) as ctx:
        commands.create_user(ctx, "root", is_admin=True)
    with house.write("linus", None) as ctx:
        principals.create(ctx, "ci", description="builds")
    return house


def allowed(house: Any, actor: actors.Actor, place: str | None) -> set[str]:
    with house.contexts.read(actor, place) as ctx:
        return {str(action) for action in Action if commands.decide(ctx, action).allowed}


def token(house: Any, maker: str, **fields: Any) -> str:
    with house.write(maker, None) as ctx:
        return str(commands.create_token(ctx, "service:ci", "robot", **fields)[1])


def admitted(house: Any, secret: str) -> actors.Actor:
    with house.contexts.read(actors.service("gate")) as ctx:
        return commands.authenticate(ctx, secret)


# Which file acts as which process. A new one is written down here, with the process that fits.
ACTING = {
    "api/requests.py": "gate", "automation/loop.py": "automation", "automation/workflows.py": "automation",
    "console/requests.py": "gate", "durable/engine.py": "durable", "durable/fake.py": "durable",
    "endpoints/workflows.py": "releases", "environments/commands.py": "jobs", "gates/commands.py": "releases",
    "jobs/finishing.py": "batch", "jobs/preparing.py": "jobs", "main/home.py": "setup",
    "models/commands.py": "tracking",
    "automation/delivering.py": "automation", "automation/rehearsing.py": "automation",
    "automation/telling.py": "automation", "monitoring/infrastructure.py": "monitor",
    "monitoring/windows.py": "monitor",
    "releases/loading.py": "releases", "releases/measuring.py": "releases",
    "releases/scanning.py": "releases", "releases/stages.py": "releases", "releases/tables.py": "releases",
    "releases/testing.py": "releases",
}  # fmt: skip


def acting() -> dict[str, set[str]]:
    """Every ``actors.service(...)`` in the code."""
    found: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            of = node.func.value
            if (getattr(of, "id", ""), node.func.attr) == ("actors", "service"):
                name = node.args[0]
                assert isinstance(name, ast.Constant), f"{path}:{node.lineno} acts as whoever it is told"
                found.setdefault(str(path.relative_to(SOURCE)), set()).add(str(name.value))
    return found


def test_each_worker_acts_as_its_own_process_and_only_the_first_start_as_the_setup() -> None:
    found = acting()
    assert {path: names for path, names in found.items() if path in ACTING} == {
        path: {name} for path, name in ACTING.items()
    }
    for path, names in found.items():
        assert names <= {each.removeprefix("service:") for each in services.RESERVED}, path
        assert "setup" not in names or path == "main/home.py", path


def test_no_context_is_opened_as_anybody_made_up() -> None:
    """Actors come from a token, from who wrote a thing, or are one of the processes above."""
    allowed = {
        "base/actors.py", "identity/commands.py", "jobs/preparing.py", "automation/commands.py", "vault/commands.py",
        "monitoring/commands.py", "releases/retraining.py",
    }  # fmt: skip
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "actors.Actor":
                assert str(path.relative_to(SOURCE)) in allowed, f"{path}:{node.lineno}"


@pytest.mark.parametrize("name", sorted(set(services.SERVICES) - {"service:setup"}))
def test_no_worker_is_a_super_user(house: Any, name: str) -> None:
    actor = actors.named(name)
    for place in ("dev", "prod", "registry", None):
        may = allowed(house, actor, place)
        assert may == set(map(str, services.SERVICES[name]))
        assert not may & {
            "identity.read", "identity.write", "workspace.write", "compute.write", "release.approve", "audit.read",
            "secret.write", "package.write", "rule.write", "schedule.write", "storage.write",
        }  # fmt: skip


def test_only_what_runs_programs_deploys_them_and_calls_webhooks_reads_values_of_secrets() -> None:
    assert {name for name, may in services.SERVICES.items() if Action.SECRET_GET in may} == {
        "service:automation", "service:jobs", "service:releases",
    }  # fmt: skip


def test_every_process_says_what_it_is_for() -> None:
    assert set(services.PURPOSES) == set(services.SERVICES)


def test_the_token_of_a_job_is_taken_back_by_the_process_that_runs_jobs_and_nothing_else_is(house: Any) -> None:
    with house.contexts.write(actors.Actor("ada", via="job:train/fit"), "dev") as ctx:
        of_job, _ = commands.create_token(ctx, "ada", "job:train/fit", workspace="dev")
    with house.write("ada", None) as ctx:
        own, _ = commands.create_token(ctx, "ada", "laptop")
    with house.write("service:jobs", "dev") as ctx:
        with pytest.raises(errors.NotPermitted):
            commands.revoke_token(ctx, own.id)
        commands.revoke_token(ctx, of_job.id)
    with house.write("service:releases", "dev") as ctx, pytest.raises(errors.NotPermitted):
        commands.revoke_token(ctx, of_job.id)


def test_a_process_that_was_made_may_nothing_until_it_is_given_something(shop: Any) -> None:
    for place in ("dev", "prod", "registry", None):
        assert allowed(shop, CI, place) == set()
    with shop.write("root", None) as ctx:
        assignments.put(ctx, "service:ci", "R", workspace="dev")
        commands.put_group(ctx, model.Group("robots", Persona.CICD_PROCESS, ("service:ci",), ("prod",)))
    assert "data.read" in allowed(shop, CI, "dev") and "data.write" not in allowed(shop, CI, "dev")
    assert "endpoint.write" in allowed(shop, CI, "prod")
    with shop.read("linus", None) as ctx:
        assert commands.explain(ctx, "service:ci", Action.DATA_READ, "dev").allowed
        shown = principals.show(ctx, "ci")
    assert (shown.owner, shown.groups, [each.role for each in shown.assignments]) == ("linus", ("robots",), ["R"])


def test_it_never_approves_and_never_administers(shop: Any) -> None:
    with shop.write("root", None) as ctx:
        commands.put_group(ctx, model.Group("boss", Persona.PRODUCT_OWNER, ("service:ci",), ()))
        assignments.put(ctx, "service:ci", "APR")
    with shop.contexts.read(CI, "prod") as ctx:
        decision = commands.decide(ctx, Action.RELEASE_APPROVE)
        assert (decision.allowed, decision.by) == (False, (policies.APPROVING,))
        assert "only a person approves" in decision.why
    with shop.write("root", None) as ctx, pytest.raises(errors.InvalidInput, match="cannot be a user name"):
        commands.create_user(ctx, "service:ci", is_admin=True)


def test_it_has_no_password_and_does_not_log_in(shop: Any) -> None:
    with shop.write("root", None) as ctx:
        with pytest.raises(errors.NotFound):
            commands.set_password(ctx, "service:ci", "a long enough password")
        for name in ("service:ci", "ci"):
            with pytest.raises(errors.NotAuthenticated):
                commands.login(ctx, name, "a long enough password", timedelta(hours=1))


def test_its_tokens_are_made_by_its_owner_or_by_who_may_and_not_by_itself(shop: Any) -> None:
    assert admitted(shop, token(shop, "linus")) == actors.Actor("service:ci", actors.ActorKind.SERVICE, "robot")
    assert admitted(shop, token(shop, "root")).id == "service:ci"
    with pytest.raises(errors.NotPermitted):
        token(shop, "ada")
    with shop.contexts.write(CI) as ctx, pytest.raises(errors.NotPermitted):
        commands.create_token(ctx, "service:ci", "another")
    with shop.write("root", None) as ctx:
        made = principals.create(ctx, "bot", owner="ada")
    with shop.write("ada", None) as ctx:
        held, secret = commands.create_token(ctx, made.id, "mine")
        commands.revoke_token(ctx, held.id)
    with pytest.raises(errors.NotAuthenticated):
        admitted(shop, secret)


def test_its_tokens_stop_with_it_and_go_on_with_it(shop: Any) -> None:
    secret = token(shop, "linus")
    with shop.write("linus", None) as ctx:
        assert principals.set_disabled(ctx, "ci", True).disabled
    with pytest.raises(errors.NotAuthenticated, match="service:ci is disabled"):
        admitted(shop, secret)
    assert allowed(shop, CI, "dev") == set()
    with shop.write("linus", None) as ctx:
        principals.set_disabled(ctx, "ci", False)
    assert admitted(shop, secret).id == "service:ci"


def test_an_owner_stops_their_process_but_does_not_let_it_go_on(shop: Any) -> None:
    with shop.write("root", None) as ctx:
        principals.create(ctx, "bot", owner="ada")
    with shop.write("ada", None) as ctx:
        assert [each.name for each in principals.list_(ctx)] == ["bot"]
        principals.set_disabled(ctx, "bot", True)
        with pytest.raises(errors.NotPermitted):
            principals.set_disabled(ctx, "bot", False)
        with pytest.raises(errors.NotPermitted):
            principals.set_disabled(ctx, "ci", True)


def test_a_deleted_one_leaves_no_token_no_role_and_no_membership(shop: Any) -> None:
    with shop.write("root", None) as ctx:
        principals.create(ctx, "robot", role="C", workspace="dev", persona=Persona.MONITORING_PROCESS)
        commands.put_group(ctx, model.Group("mixed", Persona.DATA_ANALYST, ("ada", "service:robot"), ("dev",)))
        _, secret = commands.create_token(ctx, "service:robot", "robot")
        principals.delete(ctx, "robot")
        principals.create(ctx, "robot")
    assert allowed(shop, actors.service("robot"), "dev") == set()
    with pytest.raises(errors.NotAuthenticated):
        admitted(shop, secret)
    with shop.read("root", None) as ctx:
        assert not [each for each in assignments.list_(ctx) if "robot" in each.principal]
        assert principals.show(ctx, "robot").groups == ()
        facts = events.facts(ctx, types=["group.removed", "group.changed", "principal.deleted"], newest_first=True)
    assert [(each.type, each.subject) for each in facts][:2] == [
        ("principal.deleted", "service:robot"), ("group.removed", "group:service-robot"),
    ]  # fmt: skip


def test_one_that_belongs_to_a_workspace_acts_nowhere_else(shop: Any) -> None:
    with shop.write("root", None) as ctx:
        principals.create(ctx, "local", workspace="dev")
        assignments.put(ctx, "service:local", "C")
        held, secret = commands.create_token(ctx, "service:local", "t")
        with pytest.raises(errors.InvalidInput, match="belongs to workspace dev"):
            commands.create_token(ctx, "service:local", "t", workspace="prod")
    assert held.workspace == "dev"
    for actor in (actors.service("local"), admitted(shop, secret)):
        assert "data.write" in allowed(shop, actor, "dev") & allowed(shop, actor, "registry")
        assert allowed(shop, actor, "prod") == allowed(shop, actor, None) == set()
    with shop.contexts.read(actors.service("local"), "prod") as ctx:
        assert commands.decide(ctx, Action.DATA_READ).why == (
            "service:local is for workspace dev alone, not for workspace prod"
        )


def test_who_owns_a_workspace_makes_processes_of_it_alone(shop: Any) -> None:
    with shop.write("root", None) as ctx:
        assignments.put(ctx, "user:ada", "O", workspace="dev")
    with shop.write("ada", None) as ctx:
        made = principals.create(ctx, "devbot", workspace="dev", role="C")
        for place in ("prod", None):
            with pytest.raises(errors.NotPermitted):
                principals.create(ctx, "other", workspace=place)
    assert made.owner == "ada" and "job.submit" in allowed(shop, actors.service("devbot"), "dev")


def test_nobody_gives_a_process_of_theirs_more_than_they_may(shop: Any) -> None:
    """Else whoever may change identities would act through it."""
    with shop.write("linus", None) as ctx:
        assignments.put(ctx, "service:ci", "R", kind="workspace", workspace="prod")
        with pytest.raises(errors.NotPermitted, match="more than they may"):
            assignments.put(ctx, "service:ci", "APR", workspace="prod")
        with pytest.raises(errors.NotPermitted, match="more than they may"):
            commands.put_group(ctx, model.Group("robots", Persona.CICD_PROCESS, ("service:ci",), ("prod",)))
        with pytest.raises(errors.NotPermitted, match="more than they may"):
            commands.put_group(ctx, model.Group("robots", Persona.DATA_ANALYST, ("service:ci",), ()))


def test_a_process_does_not_raise_its_own_rights(shop: Any) -> None:
    with shop.write("root", None) as ctx:
        assignments.put(ctx, "service:ci", "O")
    with shop.contexts.write(CI) as ctx:
        with pytest.raises(errors.NotPermitted, match="their own rights"):
            assignments.put(ctx, "service:ci", "KVA")
        with pytest.raises(errors.NotPermitted, match="their own rights"):
            commands.put_group(ctx, model.Group("robots", Persona.PROJECT_LEAD, ("service:ci",), ("prod",)))


def test_only_an_administrator_takes_an_administrators_place(shop: Any) -> None:
    with shop.write("linus", None) as ctx:
        for attempt in (
            lambda: commands.create_token(ctx, "root", "mine"),
            lambda: commands.set_password(ctx, "root", "a long enough password"),
            lambda: commands.create_user(ctx, "second", is_admin=True),
        ):
            with pytest.raises(errors.NotPermitted, match="administrator"):
                attempt()
    with shop.write("root", None) as ctx:
        commands.set_password(ctx, "root", "a long enough password")
        commands.create_user(ctx, "second", is_admin=True)
        commands.create_token(ctx, "second", "for them")


@pytest.mark.parametrize("name", ["", "a b", "jobs", "releases", "setup", "gate", "service:x", "../x", "a" * 256])
def test_a_name_that_cannot_be_a_process_is_refused(shop: Any, name: str) -> None:
    with shop.write("root", None) as ctx, pytest.raises(errors.InvalidInput, match="cannot be the name of a process"):
        principals.create(ctx, name)


def test_one_is_made_once_and_answered_for_by_a_user(shop: Any) -> None:
    with shop.write("root", None) as ctx:
        with pytest.raises(errors.Conflict):
            principals.create(ctx, "ci")
        with pytest.raises(errors.NotFound, match="ghost"):
            principals.create(ctx, "another", owner="ghost")
        with pytest.raises(errors.Conflict, match="stays as it is"):
            principals.delete(ctx, "jobs")
        with pytest.raises(errors.NotFound, match="nothing"):
            principals.delete(ctx, "nothing")
        with pytest.raises(errors.NotFound, match="ghost"):
            assignments.put(ctx, "service:ghost", "R")
    with shop.write("ada", None) as ctx:
        assert principals.list_(ctx) == []
        for attempt in (principals.show, principals.delete):
            with pytest.raises(errors.NotPermitted):
                attempt(ctx, "ci")


def test_the_systems_own_are_shown_with_what_they_may(shop: Any) -> None:
    with shop.read("root", None) as ctx:
        found = {each.name: each for each in principals.list_(ctx)}
    assert found["jobs"].built_in and Action.TRACKING_WRITE in found["jobs"].actions
    assert not found["ci"].built_in and found["ci"].actions == ()


def test_what_it_does_stands_in_the_record_under_its_name(shop: Any) -> None:
    with shop.write("root", None) as ctx:
        assignments.put(ctx, "service:ci", "O")
    actor = admitted(shop, token(shop, "linus"))
    with shop.contexts.write(actor) as ctx:
        commands.create_user(ctx, "made")
        (fact,) = events.facts(ctx, subject="user:made")
    assert fact.actor == "service:ci"


def test_the_policies_of_a_process_agree_with_the_schema() -> None:
    group = model.Group("robots", Persona.CICD_PROCESS, ("service:ci",), ())
    deciding.check(policies.text([group], []))
    asked = model.Asked("service:ci", "endpoint.write", "prod", "production")
    assert deciding.decide(policies.text([group], []), asked, False, ["robots"]).allowed
    assert not deciding.decide(policies.text([group], []), asked, False, []).allowed
