"""The explanation of a prediction as a tree that reads downwards from what was asked to what it came from. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from doubleloop.base import clock
from doubleloop.console import words


@dataclass(frozen=True)
class Node:
    """``kind`` is what it is in a word, ``said`` what is said of it, ``code`` a digest or id in full, ``tone`` a
    colour's name, ``link`` its page."""

    kind: str
    said: str
    code: str = ""
    tone: str = ""
    link: str | None = None
    below: tuple[Node, ...] = field(default=())


def _at(text: Any) -> str:
    """A moment of an explanation as the other pages write it."""
    try:
        return words.at(clock.parse(str(text)))
    except ValueError:
        return str(text or "–")


def tree(told: Mapping[str, Any]) -> list[Node]:
    """Of ``releases.trace.explain``: request, deployment, model (job, data, environments), release, sealed log."""
    parts = [_request(told.get("request")), _deployment(told.get("deployment")), _model(told)]
    if not told.get("model"):  # what stands below a model otherwise
        parts += [_job(told.get("job"), None), *map(_data, told.get("data") or [])]
        parts += map(_led_to, told.get("led_to") or [])
    parts.append(_release(told))
    return [*(each for each in parts if each is not None), *_audit(told.get("audit") or [])]


def _request(request: Mapping[str, Any] | None) -> Node | None:
    if not request:
        return None
    took = words.milliseconds(request["latency_ms"]) if isinstance(request.get("latency_ms"), float) else ""
    place = f"{request.get('workspace')}/{request.get('endpoint')}"
    said = f"{place} answered {request.get('status')}" + (f" in {took}" if took else "")
    below = [Node("at", _at(request.get("time")))]
    first = request.get("time_to_first_piece_ms")
    if isinstance(first, float):
        below.append(Node("streamed", f"{request.get('pieces')} pieces, the first after {words.milliseconds(first)}"))
    for part in ("inputs", "outputs"):
        values = request.get(part) or {}
        below.append(Node(part, ", ".join(f"{name} = {words.number(value)}" for name, value in values.items()) or "–"))
    return Node("request", said, str(request.get("request_id") or ""), "", f"/endpoints/{place}", tuple(below))


def _deployment(each: Mapping[str, Any] | None) -> Node | None:
    if not each:
        return None
    place = f"{each['workspace']}/{each['endpoint']}"
    below = [Node("made", f"by {each['created_by']} at {_at(each['created_at'])}")]
    if each.get("environment_lock"):
        below.append(Node("environment", "the lock it runs in", each["environment_lock"]))
    return Node(
        "deployment", f"{each['name']} of {place} ({words.plain(each['status'])})", each["id"],
        words.tone(each["status"]), f"/endpoints/{place}", tuple(below),
    )  # fmt: skip


def _model(told: Mapping[str, Any]) -> Node | None:
    each = told.get("model")
    below = [_job(told.get("job"), each), *map(_data, told.get("data") or [])]
    below += map(_environment, told.get("environments") or [])
    if not each:
        return None
    first = [Node("files", "the hash of every byte of the model", str(each["digest"]))]
    if each.get("run"):
        first.append(Node("run", "in the tracking server", each["run"]))
    authors = ", ".join(each.get("authors") or []) or each["created_by"]
    said = f"{each['name']}:{each['version']}, by {authors} at {_at(each['created_at'])}"
    link = words.link(each["id"])
    return Node("model", said, "", "", link, tuple([*first, *(part for part in below if part is not None)]))


def _job(job: Mapping[str, Any] | None, version: Mapping[str, Any] | None) -> Node | None:
    if not job:
        return Node("job", "no job of this installation made the model", tone="warn") if version else None
    steps = tuple(map(_step, job.get("steps") or []))
    said = f"started by {job['created_by']} in {job['workspace']} ({words.plain(job['status'])})"
    link = words.link(f"job:{job['id']}", job["workspace"])
    return Node("job", said, job["id"], words.tone(job["status"]), link, steps)


def _step(step: Mapping[str, Any]) -> Node:
    reused = f", reused from {step['reused_from']}" if step.get("reused_from") else ""
    below = [Node("command", str(step.get("command") or ""))]
    below += [Node("code", "", str(step["code"]))] if step.get("code") else []
    for part in ("inputs", "outputs"):
        for name, value in (step.get(part) or {}).items():
            below.append(_binding(part.removesuffix("s"), name, value))
    return Node(
        "step", f"{step['name']} ({words.plain(step['status'])}{reused})", "", words.tone(step["status"]), None,
        tuple(below),
    )  # fmt: skip


def _binding(part: str, name: str, value: Any) -> Node:
    if not isinstance(value, Mapping):
        return Node(part, f"{name} = {value}")
    if "value" in value:
        return Node(part, f"{name} = {value['value']}")
    return Node(part, f"{name} {words.name(str(value.get('asset') or ''))}".strip(), str(value.get("reference") or ""))


def _data(each: Mapping[str, Any]) -> Node:
    labels = "".join(f" @{label}" for label in each.get("labels") or [])
    by = f", by {each['created_by']} at {_at(each['created_at'])}" if each.get("created_by") else ""
    return Node("data", f"{words.name(each['id'])}{labels}{by}", str(each.get("digest") or ""))


def _led_to(id_: str) -> Node:
    kind = id_.partition(":")[0]
    return Node("led to", f"{words.plain(kind)} {words.name(id_)}", "", "", words.link(id_))


def _environment(each: Mapping[str, Any]) -> Node:
    packages = each.get("packages") or []
    users = ", ".join(each.get("used_by") or [])
    said = f"Python {each.get('python') or 'unknown'}, {len(packages)} packages, for {users}"
    listed = (Node("packages", ", ".join(map(str, packages))),) if packages else ()
    return Node("environment", said, str(each["lock"]), "", None, listed)


def _release(told: Mapping[str, Any]) -> Node | None:
    release = told.get("release")
    if not release:
        return None
    said = (
        f"{release['number']} by definition {release['definition']} version {release['definition_version']}: "
        f"{words.plain(release['status'])}"
    )
    below = [Node("started", f"by {release['created_by']} at {_at(release['created_at'])}")]
    below += [Node("because", reason, tone="warn") for reason in release.get("reasons") or []]
    below += [_check(each) for each in told.get("checks") or []]
    below += [_approval(each) for each in told.get("approvals") or []]
    link = words.link(f"release:{release['id']}")
    return Node("release", said, release["id"], words.tone(release["status"]), link, tuple(below))


def _check(each: Mapping[str, Any]) -> Node:
    altered = "" if each.get("intact", True) else ", CHANGED AFTERWARDS"
    reasons = tuple(Node("says", reason) for reason in each.get("reasons") or [])
    said = f"{words.plain(each['type'])} {words.plain(each['outcome'])}{altered}"
    return Node("check", said, each["hash"], "bad" if altered else words.tone(each["outcome"]), None, reasons)


def _approval(each: Mapping[str, Any]) -> Node:
    decisions = tuple(
        Node(
            said["decision"],
            f"{said['actor']} at {_at(said['at'])}" + (f": “{said['comment']}”" if said["comment"] else ""),
        )
        for said in each.get("decisions") or []
    )
    return Node(
        "approval", f"for {each['workspace']}: {words.plain(each['status'])}, on the evidence with this hash",
        each["evidence_digest"], words.tone(each["status"]), None, decisions,
    )  # fmt: skip


def _audit(facts: Sequence[Mapping[str, Any]]) -> list[Node]:
    if not facts:
        return []
    below = tuple(
        Node(str(each["seq"]), f"{each['type']} by {each['actor']} at {_at(each['at'])}", each["hash"])
        for each in facts
    )
    said = f"{len(facts)} facts, {facts[0]['seq']} to {facts[-1]['seq']}"
    return [Node("sealed log", said, facts[-1]["hash"], "", None, below)]
