"""A rule does what its author may do by hand, and no more; a schedule's job is its author's."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from doubleloop.automation import commands, loop, workflows
from doubleloop.base import actors, errors, ids
from doubleloop.durable.fake import EagerEngine
from doubleloop.environments import commands as environments
from doubleloop.events import commands as events
from doubleloop.events import queries as facts
from doubleloop.identity import model as identities
from doubleloop.identity import store as identity_store
from doubleloop.jobs import store as jobs
from doubleloop.secrets import ports as secrets
from doubleloop.secrets.local import FileKeys
from doubleloop.specs import documents
from doubleloop.vault import commands as vault
from doubleloop.vault import fernet
from doubleloop.vault import ports as vault_ports

JOB = "{run_job: {%s job: {type: command, command: echo hi, environment: 'azureml:base@latest'}}}"
ROLL_BACK = "{roll_back: {endpoint: bikes}}"
RETRAIN = "{retrain: {release: bikes}}"
SCALE = "{scale: {endpoint: bikes, change: 1}}"


def rule(do: str, on: str = "monitor.alert", name: str = "react") -> documents.Document:
    text = f"$schema: doubleloop/rule\nname: {name}\non: {on}\ndo: [{do}]\n"
    return documents.parse(text, "rule.yml", "/nowhere")


def put(house: Any, do: str, by: str = "ada", workspace: str = "dev", on: str = "monitor.alert") -> None:
    with house.write(by, workspace) as ctx:
        commands.put_rule(ctx, rule(do, on))


def record(house: Any, workspace: str | None = "dev", type_: str = "monitor.alert", **data: Any) -> None:
    with house.write("service:monitor", workspace) as ctx:
        events.record(ctx, type_, "monitor:m", **data)


def react(house: Any) -> list[dict[str, Any]]:
    """Carry out everything; returns what came of each rule's actions."""
    watching = loop.Loop(house.contexts, 0.01)
    while watching.tick():
        pass

    async def nothing(_flow: Any, _argument: Any) -> None: ...

    bodies = {**workflows.WORKFLOWS, "jobs.run": nothing, "releases.run": nothing, "endpoints.publish": nothing}
    EagerEngine(house.contexts, bodies).run()
    with house.read("service:setup", None) as ctx:
        return [each for fact in facts.facts(ctx, types=["rule.done", "rule.failed"]) for each in fact.data["results"]]


@pytest.fixture
def base(house: Any) -> Any:
    with house.write("ada", "registry") as ctx:
        body = {"name": "base", "conda_file": {"$file": "c.yml", "text": "dependencies: [python=3.11]"}}
        environments.create(ctx, "base", "1", body)
    house.ports[secrets.Keys] = FileKeys(house.home / "secret.key")
    return house


@dataclass
class Address:
    """``seen``: what it got, with headers; ``answers``: the next statuses, then 200."""

    url: str = ""
    seen: list[Any] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    says: bytes = b""


@pytest.fixture
def hook() -> Iterator[Address]:
    address = Address()

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            address.seen.append((json.loads(body), {**dict(self.headers), "raw": body}))
            self.send_response(address.answers.pop(0) if address.answers else 200)
            self.end_headers()
            self.wfile.write(address.says)

        def log_message(self, *args: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address.url = f"http://127.0.0.1:{server.server_port}/hook"
    yield address
    server.shutdown()


@pytest.mark.parametrize(
    ("do", "workspace"), [(JOB % "workspace: prod,", "dev"), (JOB % "", "prod"), (ROLL_BACK, "prod"), (SCALE, "prod")]
)
def test_nobody_writes_a_rule_that_does_what_they_may_not(base: Any, do: str, workspace: str) -> None:
    """A data scientist may write rules in dev, but starts nothing in production, by a rule as little as by hand."""
    with pytest.raises(errors.NotPermitted):
        put(base, do, workspace=workspace)
    with base.read("service:setup", None) as ctx:
        assert facts.facts(ctx, types=["rule.created"]) == []


def test_who_may_run_jobs_there_may_have_a_rule_do_it(base: Any) -> None:
    put(base, JOB % "workspace: staging,", by="linus")
    record(base)
    name = job_of(base)
    assert react(base) == [{"do": "run_job", "done": f"job {name}"}]
    with base.read("linus", "staging") as ctx:
        job = jobs.get(ctx, name)
    assert job and (job.workspace, job.created_by) == ("staging", "linus")


def job_of(house: Any) -> str:
    return f"job-{ids.derived(f'react-{fact_seq(house)}-0', 'dev', 'react')}"


def fact_seq(house: Any) -> int:
    with house.read("service:setup", None) as ctx:
        return facts.facts(ctx, types=["monitor.alert"])[-1].seq


def test_a_rule_whose_author_lost_the_right_does_nothing_and_says_why(base: Any) -> None:
    put(base, JOB % "")
    with base.write("service:setup", None) as ctx:
        identity_store.put_group(
            ctx, identities.Group("data_scientists", identities.Persona.DATA_ANALYST, ("ada",), ())
        )
    record(base)
    (result,) = react(base)
    assert "none allows job.submit" in result["error"]
    with base.read("linus", "dev") as ctx:
        assert jobs.get(ctx, job_of(base)) is None


def test_a_release_that_a_rule_starts_is_one_its_author_could_start(base: Any) -> None:
    put(base, RETRAIN)
    record(base)
    (result,) = react(base)
    assert "no release definition 'bikes'" in result["error"], "told when it acts; the rule may come first"


def test_what_a_verb_cannot_do_is_told(base: Any) -> None:
    put(base, "{start_release: {release: bikes, model_version: '${{fact.version}}'}}, {scale: {instances: 2}}")
    record(base, endpoint="nowhere", version=3)
    start, scale = react(base)
    assert "no release definition 'bikes'" in start["error"] and "'nowhere'" in scale["error"]


@pytest.mark.parametrize(
    "do", ["{scale: {}}", "{scale: {instances: 2, change: 1}}", "{scale: {instances: 0}}", "{start_release: {}}",
           "{scale: {change: 1, at_least: 5, at_most: 2}}", "{scale: {change: 0}}", "{notify: {to: nobody}}"],
)  # fmt: skip
def test_verbs_that_make_no_sense_are_refused_with_their_line(base: Any, do: str) -> None:
    with pytest.raises(errors.InvalidInput) as refused:
        put(base, do)
    assert refused.value.where is not None and refused.value.where.line == 4


@pytest.mark.parametrize(
    ("line", "says", "cure"),
    [
        ("on: monitor.alrt", "no fact 'monitor.alrt'", "monitor.alert"),
        ("on: nothing.*", "no fact 'nothing.*'", "docs/facts.md"),
        ("on: rule.failed", "do not hear of 'rule.failed'", "events: ['rule.failed']"),
        ("where: {value: {at_least: 5, at_most: 1}}", "at least 5 and at most 1", ""),
    ],
)
def test_a_rule_that_could_never_act_is_refused_with_its_line(base: Any, line: str, says: str, cure: str) -> None:
    text = (
        f"name: never\n{'' if line.startswith('on') else 'on: monitor.alert'}\n{line}\ndo: {{scale: {{change: 1}}}}\n"
    )
    with pytest.raises(errors.InvalidInput) as refused, base.write("ada", "dev") as ctx:
        commands.put_rule(ctx, documents.parse(f"$schema: doubleloop/rule\n{text}", "rule.yml", "/"))
    assert says in refused.value.what and cure in refused.value.cure
    assert refused.value.where is not None and refused.value.where.line == 4


def test_rules_hear_of_models_in_the_registry_and_nothing_of_peoples_logins(base: Any, hook: Address) -> None:
    url, seen = hook.url, hook.seen
    put(base, f"{{webhook: {{url: '{url}'}}}}", on="'*'")
    react(base)
    seen.clear()
    record(base, "registry", "model.registered", name="bikes", version="1")
    record(base, "staging", "monitor.alert")
    for type_ in ("user.created", "token.created", "group.changed", "session.ended", "access.denied"):
        record(base, None, type_)
    record(base, None, "release.completed")
    react(base)
    # Reactions run beside each other: no order is promised among facts about different things.
    assert sorted(each["type"] for each, _ in seen) == ["doubleloop.model.registered", "doubleloop.release.completed"]


def test_a_webhook_gets_the_fact_as_a_signed_cloudevent_once(base: Any, hook: Address) -> None:
    url, seen = hook.url, hook.seen
    keep(base, "team", "a shared secret")
    put(base, f"{{webhook: {{url: '{url}', secret: team, headers: {{x-team: blue}}}}}}")
    record(base, value=12.5, columns=["a"])
    (result,) = react(base)
    react(base)
    ((event, headers),) = seen
    assert result["done"].endswith("answered 200")
    assert (event["specversion"], event["type"], event["source"]) == (
        "1.0",
        "doubleloop.monitor.alert",
        "doubleloop/dev",
    )
    assert (event["data"], event["subject"]) == ({"value": 12.5, "columns": ["a"]}, "monitor:m")
    wanted = "sha256=" + hmac.new(b"a shared secret", headers["raw"], hashlib.sha256).hexdigest()
    found = {name.lower(): text for name, text in headers.items()}
    assert (found["x-doubleloop-signature"], found["x-team"]) == (wanted, "blue")


def keep(house: Any, name: str, value: str) -> None:
    safe = fernet.SealedSafe(fernet.LocalKeys((), house.ports[secrets.Keys].derive))
    house.ports[vault_ports.Safe] = house.contexts.ports[vault_ports.Safe] = safe
    vault.put(house.contexts, actors.Actor("ada"), "dev", name, value)


def test_secrets_in_headers_and_address_are_filled_in_and_told_nowhere(base: Any, hook: Address) -> None:
    keep(base, "token", "t0ken-of-the-team")
    keep(base, "hook", f"{hook.url}?key=k3y-in-the-address")
    headers = "{authorization: 'Bearer ${{secrets.token}}', x-two: '${{ secrets.token@1 }}/${{secrets.token}}'}"
    put(base, f"{{webhook: {{url: '${{{{secrets.hook}}}}', headers: {headers}}}}}")
    hook.answers[:] = [503, 403]
    record(base)
    (result,) = react(base)
    (_, first), (_, sent) = hook.seen
    assert first["authorization"] == sent["authorization"] == "Bearer t0ken-of-the-team"
    assert sent["x-two"] == "t0ken-of-the-team/t0ken-of-the-team"
    assert result["error"] == "${{secrets.hook}} answered 403: "
    with base.read("service:setup", None) as ctx:
        every = facts.facts(ctx, limit=1000)
    given = [(fact.data["name"], fact.data["to"]) for fact in every if fact.type == "secret.given"]
    assert sorted(set(given)) == [("hook", "rule:dev/react"), ("token", "rule:dev/react")]
    assert "t0ken" not in str(every) and "k3y" not in str(every)
    at_rest = b"".join(each.read_bytes() for each in base.home.rglob("*") if each.is_file())
    assert b"t0ken-of-the-team" not in at_rest and b"k3y-in-the-address" not in at_rest


def test_what_a_webhook_answers_is_told_without_the_secret_that_it_got(base: Any, hook: Address) -> None:
    keep(base, "token", "t0ken-of-the-team")
    put(base, f"{{webhook: {{url: '{hook.url}', headers: {{x-key: '${{{{secrets.token}}}}'}}}}}}")
    hook.answers[:], hook.says = [400], b"who is t0ken-of-the-team?"
    record(base)
    assert react(base)[0]["error"] == f"{hook.url} answered 400: who is ***?"


@pytest.mark.parametrize("value", ["two\r\nx-evil: 1", "\u00fcnique", "a\tb"])
def test_a_secret_that_no_header_can_hold_is_refused_and_not_repeated(base: Any, hook: Address, value: str) -> None:
    keep(base, "token", value)
    put(base, f"{{webhook: {{url: '{hook.url}', headers: {{x-key: '${{{{secrets.token}}}}'}}}}}}")
    record(base)
    assert react(base)[0]["error"].startswith("The header x-key would hold")
    assert hook.seen == []


@pytest.mark.parametrize(
    ("field", "kind", "said"),
    [
        ("headers: {x-key: '${{secrets.nothing}}'}", errors.NotFound, "There is no secret nothing in dev"),
        ("headers: {x-key: 'Bearer ${{secrets.a.b}}'}", errors.InvalidInput, "in no form that is known"),
        ("secret: nothing", errors.NotFound, "There is no secret nothing in dev"),
        ('headers: {"x-key\\r\\nx-evil": a}', errors.InvalidInput, "no header"),
        ('headers: {x-key: "a\\r\\nx-evil: b"}', errors.InvalidInput, "no header"),
        ("headers: {Host: elsewhere}", errors.InvalidInput, "no header"),
    ],
)
def test_a_webhook_that_could_not_be_sent_is_told_with_its_line(
    base: Any, field: str, kind: type[errors.DoubleloopError], said: str
) -> None:
    with pytest.raises(kind, match=said) as caught:
        put(base, f"{{webhook: {{url: 'https://example.org', {field}}}}}")
    assert caught.value.where is not None and caught.value.where.line == 4
    with base.read("service:setup", None) as ctx:
        assert facts.facts(ctx, types=["rule.created"]) == []


def test_a_webhook_that_fails_is_tried_again_and_one_that_refuses_is_not(base: Any, hook: Address) -> None:
    url, seen = hook.url, hook.seen
    put(base, f"{{webhook: {{url: '{url}'}}}}")
    hook.answers[:] = [500, 503]
    record(base)
    assert react(base)[-1]["done"].endswith("answered 200")
    assert len(seen) == 3
    hook.answers[:] = [403]
    record(base)
    assert "answered 403" in react(base)[-1]["error"]
    assert len(seen) == 4


def test_one_action_that_fails_keeps_none_of_the_others_back(base: Any, hook: Address) -> None:
    url, seen = hook.url, hook.seen
    put(base, f"{RETRAIN}, {{webhook: {{url: '{url}'}}}}")
    record(base)
    assert [("error" in each, each["do"]) for each in react(base)] == [(True, "retrain"), (False, "webhook")]
    assert len(seen) == 1


def test_what_else_a_run_has_found_is_in_the_one_message_and_the_one_call(house: Any, hook: Address) -> None:
    put(house, f'{{webhook: {{url: "{hook.url}"}}}}, {{notify: {{to: ["{hook.url.replace("http", "json")}"]}}}}')
    with house.write("service:monitor", "dev") as ctx:
        for metric, value in (("mae", 12.5), ("rmse", 17.0)):
            events.record(
                ctx, "monitor.alert", "monitor:m", signal="performance", metric=metric, value=value, threshold=10.0,
                columns=["rides"], run="run-1",
            )  # fmt: skip
    react(house)
    called, told = (body for body, _ in hook.seen)
    assert called["data"]["metric"] == "mae" and [each["metric"] for each in called["data"]["also"]] == ["rmse"]
    assert "metric: mae" in told["message"]
    assert "The same run also found:\n  performance: rmse of rides 17.0, threshold 10.0" in told["message"]
