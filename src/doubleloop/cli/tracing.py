"""``doubleloop trace``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from doubleloop.cli import options, output

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

Part = dict[str, Any]


@click.command("trace", cls=options.Verb)
@options.name("id")
@options.shared(workspace=False)
def trace(session: Session, name: str) -> output.Shown:
    """Explain a prediction, release, decision, model or data, down to what it came from and who decided.

    ID is a request id (header x-request-id of an answer), a deployment's id or name, a release's id or number, an
    approval's or a job's id, or a version of a model or of data such as bikes:3.
    """
    return output.Shown(session.client.trace(name), text=page)


def page(found: Part) -> str:
    """A paragraph for each part that there is: what happened, what answered, what it came from, who said so."""
    paragraphs: list[tuple[str, Callable[[Part], Iterator[str]]]] = [
        ("request", _request), ("deployment", _deployment), ("model", _model), ("job", _job), ("data", _data),
        ("environments", _environments), ("release", _release), ("checks", _checks), ("approvals", _approvals),
        ("audit", _audit),
    ]  # fmt: skip
    told = ["\n".join(write(found)) for part, write in paragraphs if found.get(part)]
    return "\n".join(told) or f"Nothing more is known about {found.get('id')}."


def _lines(head: str, **details: Any) -> Iterator[str]:
    """A heading and its details below it; what is empty is left out."""
    yield head
    given = {
        key.replace("_", " "): output.plain(value) for key, value in details.items() if value not in (None, "", [], {})
    }
    width = max((len(key) for key in given), default=0)
    for key, value in given.items():
        yield f"  {key.ljust(width)}  {value}"


def _pairs(values: Part | None) -> str:
    return ", ".join(f"{name}={output.plain(value)}" for name, value in (values or {}).items())


def _hash(value: Any) -> str:
    """A digest or content address with its first twelve digits."""
    text = str(value or "")
    head, colon, digest = text.rpartition(":")
    return f"{head}{colon}{digest[:12]}" if len(digest) > 20 else text


def _request(found: Part) -> Iterator[str]:
    each = found["request"]
    yield from _lines(
        f"Request {each['request_id']} to {each['workspace']}/{each['endpoint']}",
        at=output.when(each.get("time")), answered=each.get("status"), latency_ms=each.get("latency_ms"),
        pieces=each.get("pieces"), time_to_first_piece_ms=each.get("time_to_first_piece_ms"),
        inputs=_pairs(each.get("inputs")), outputs=_pairs(each.get("outputs")),
    )  # fmt: skip


def _deployment(found: Part) -> Iterator[str]:
    each, release = found["deployment"], found.get("release")
    yield from _lines(
        f"Deployment {each['name']} of {each['workspace']}/{each['endpoint']} ({each['status']})",
        id=each["id"], made_by=f"release {release['number']}" if release else each.get("created_by"),
        ready=output.when(each.get("ready_at")), environment=_hash(each.get("environment_lock")),
    )  # fmt: skip


def _model(found: Part) -> Iterator[str]:
    each = found["model"]
    yield from _lines(
        f"Model {each['name']}:{each['version']}",
        files=_hash(each.get("digest")), flavor=each.get("flavor"), run=each.get("run"),
        made_by=each.get("authors") or each.get("created_by"), made=output.when(each.get("created_at")),
    )  # fmt: skip


def _job(found: Part) -> Iterator[str]:
    each = found["job"]
    purpose = each.get("purpose") or {}
    batch = (
        purpose.get("reason") == "batch" and f"batch endpoint {purpose['endpoint']}, deployment {purpose['deployment']}"
    )
    yield from _lines(
        f"Job {each['id']} in {each['workspace']} ({each['status']})",
        started_by=each.get("created_by"), at=output.when(each.get("created_at")), experiment=each.get("experiment"),
        made_for=batch or None,
    )  # fmt: skip
    for step in each.get("steps") or []:
        reused = f", reused from {step['reused_from']}" if step.get("reused_from") else ""
        code = f", code {_hash(step['code'])}" if step.get("code") else ""
        environment = f", environment {_hash(step['environment_lock'])}" if step.get("environment_lock") else ""
        yield f"  step {step['name']}: {step['status']}{reused}{code}{environment}"


def _data(found: Part) -> Iterator[str]:
    yield "Data"
    for each in found["data"]:
        yield f"  {each['id']}  {_hash(each.get('digest'))}  {output.when(each.get('created_at'))}".rstrip()
    for each in found.get("led_to") or []:
        yield f"  led to {each}"


def _environments(found: Part) -> Iterator[str]:
    yield "Environments"
    for each in found["environments"]:
        packages = len(each.get("packages") or [])
        used = ", ".join(each.get("used_by") or [])
        yield f"  {_hash(each['lock'])}  Python {each.get('python') or '?'}, {packages} packages: {used}"


def _release(found: Part) -> Iterator[str]:
    each = found["release"]
    yield from _lines(
        f"Release {each['number']} of {each['definition']} ({each['status']})",
        id=each["id"], definition=f"version {each.get('definition_version')}, {_hash(each.get('definition_hash'))}",
        started_by=each.get("created_by"), at=output.when(each.get("created_at")), because=_pairs(each.get("trigger")),
        reasons=each.get("reasons"),
    )  # fmt: skip
    for stage in each.get("stages") or []:
        passed = f", passed {output.when(stage['passed_at'])}" if stage.get("passed_at") else ""
        yield f"  stage {stage['workspace']}: {stage['phase']}{passed}"


def _checks(found: Part) -> Iterator[str]:
    yield "Checks"
    for each in found["checks"]:
        altered = "" if each.get("intact", True) else "  ALTERED SINCE IT WAS SEALED"
        reasons = "; ".join(map(str, each.get("reasons") or []))
        yield f"  {each['outcome']:<11}  {each['check']}  {_hash(each.get('hash'))}{altered}  {reasons}".rstrip()


def _approvals(found: Part) -> Iterator[str]:
    yield "Approvals"
    for each in found["approvals"]:
        who = " or ".join(str(persona).replace("_", " ") for persona in each.get("personas") or [])
        pinned = _hash(each.get("evidence_digest"))
        yield f"  {each['workspace']}: {each['status']} ({each.get('count')} by {who}), on evidence {pinned}"
        for said in each.get("decisions") or []:
            comment = f": {said['comment']}" if said.get("comment") else ""
            yield f"    {said['actor']} {said['decision']} {output.when(said['at'])}{comment}"


def _audit(found: Part) -> Iterator[str]:
    facts = found["audit"]
    yield (
        f"{len(facts)} sealed facts from {facts[0]['seq']} ({output.when(facts[0]['at'])}) to {facts[-1]['seq']} "
        f"({output.when(facts[-1]['at'])}); `doubleloop audit verify` proves them."
    )
