"""Facts as sentences: what happened, for people. Pure."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Any

from doubleloop.console import words

# The end of a line that no mark of punctuation ends, and any other.
_UNENDED, _BREAK = re.compile(r"(?<=[^.:;,\s])\s*\n\s*"), re.compile(r"\s*\n\s*")


def _release(data: Mapping[str, Any]) -> str:
    return f"release {data.get('number', '')}".strip()


def _people(data: Mapping[str, Any]) -> str:
    return words.plain(" or ".join(data.get("personas") or ["people"]))


def _quoted(comment: Any) -> str:
    return f": “{comment}”" if comment else ""


def _metric(data: Mapping[str, Any]) -> str:
    return f"{words.plain(data.get('metric') or '')} of {data.get('signal')} in {data.get('monitor')}"


def _first(data: Mapping[str, Any]) -> str:
    return str(next(iter(data.get("reasons") or ()), ""))


def _percent(traffic: Any) -> str:
    return ", ".join(f"{name} {share} %" for name, share in (traffic or {}).items()) or "nothing"


# One sentence per kind of fact that people look for; {actor} stands before it on the page.
_SENTENCES: dict[str, Any] = {
    "access.denied": lambda d, s: f"was refused: {d.get('why', '')}",
    "activation.requested": lambda d, s: f"asks for {d.get('of')}" + _quoted(d.get("reason")),
    "activation.started": lambda d, s: f"{d.get('user')} has {d.get('of')} until {str(d.get('ends_at'))[:16]}",
    "activation.refused": lambda d, s: f"refuses {d.get('user')} {d.get('of')}" + _quoted(d.get("comment")),
    "activation.ended": lambda d, s: f"{d.get('of')} of {d.get('user')} ended: {d.get('why')}",
    "alert.acknowledged": lambda d, s: f"looks after {_metric(d)}" + _quoted(d.get("comment")),
    "alert.reopened": lambda d, s: f"{_metric(d)} is open again" + _quoted(d.get("comment") or d.get("why")),
    "alert.resolved": lambda d, s: f"says that {_metric(d)} is mended" + _quoted(d.get("comment")),
    "alert.silenced": lambda d, s: (
        f"{_metric(d)} is silenced until {str(d.get('until'))[:16]}" + _quoted(d.get("comment") or d.get("why"))
    ),
    "approval.glass_broken": lambda d, s: "breaks the glass" + _quoted(d.get("comment")),
    "approval.given": lambda d, s: "approves" + _quoted(d.get("comment")),
    "approval.refused": lambda d, s: "says no" + _quoted(d.get("comment")),
    "approval.opened": lambda d, s: f"asks {_people(d)} to decide",
    "approval.closed": lambda d, s: f"the question was answered: {d.get('status', '')}",
    "contract.broken": lambda d, s: f"{d.get('data')}:{d.get('version')} breaks its contract: {_first(d)}",
    "contract.refused": lambda d, s: f"a version of {d.get('data')} was refused by its contract: {_first(d)}",
    "labeling.created": lambda d, s: f"opened labelling project {words.name(s)} on {d.get('items')} items",
    "labeling.labelled": lambda d, s: f"all of {words.name(s)} is labelled; some of it waits for a review",
    "labeling.reviewed": lambda d, s: f"all of {words.name(s)} is labelled and reviewed",
    "labeling.exported": lambda d, s: f"{words.name(str(d.get('data')))} is labelled: {d.get('labelled')} items",
    "labeling.not_exported": lambda d, s: f"what was labelled in {words.name(s)} is no data yet: {d.get('error', '')}",
    "training.proposed": lambda d, s: (
        f"training on {words.name(str(d.get('data')))} is proposed; nothing starts by itself"
    ),
    "labeling.imported": lambda d, s: f"imported {d.get('labels')} labels into {words.name(s)}",
    "labeling.pushed": lambda d, s: f"{words.name(s)} is in Label Studio: {d.get('items')} items",
    "labeling.synced": lambda d, s: f"{d.get('labels')} labels of {words.name(s)} came from Label Studio",
    "labeling.not_synced": lambda d, s: f"{words.name(s)} cannot be asked for in Label Studio: {d.get('error', '')}",
    "labeling.closed": lambda d, s: f"closed labelling project {words.name(s)}",
    "labeling.deleted": lambda d, s: f"deleted labelling project {words.name(s)}",
    "budget.alert": lambda d, s: (
        f"budget {d.get('budget')}: {'expected to reach' if d.get('basis') == 'forecast' else 'has reached'} "
        f"{d.get('threshold')} %; {d.get('spent')} of {d.get('amount')} {d.get('currency')} are spent"
    ),
    "data.created": lambda d, s: f"added data {d.get('name')}:{d.get('version')}",
    "data.labelled": lambda d, s: f"data {words.name(s)} is now @{d.get('label')}",
    "deployment.created": lambda d, s: (
        f"deploys {words.name(d.get('model') or '')} as {d.get('name')} to {d.get('endpoint')}"
    ),
    "deployment.ready": lambda d, s: f"{words.name(d.get('model') or '')} answers at {d.get('endpoint')}",
    "deployment.deleted": lambda d, s: f"{words.name(d.get('model') or '')} is taken away from {d.get('endpoint')}",
    "deployment.failed": lambda d, s: f"a deployment to {d.get('endpoint')} failed: {d.get('error', '')}",
    "endpoint.traffic": lambda d, s: f"traffic of {words.name(s)}: {_percent(d.get('after'))}",
    "environment.built": lambda d, s: f"built an environment of {d.get('packages')} packages",
    "job.submitted": lambda d, s: f"submitted {d.get('display_name') or words.name(s)}",
    "job.completed": lambda d, s: f"job {words.name(s)} completed",
    "job.failed": lambda d, s: f"job {words.name(s)} failed: {d.get('reason', '')}",
    "model.registered": lambda d, s: f"registered {d.get('name')}:{d.get('version')}",
    "model.labelled": lambda d, s: f"{words.name(s)} is now {d.get('label')}",
    "model.unlabelled": lambda d, s: f"{words.name(s)} is no longer {d.get('label')}",
    "monitor.alert": lambda d, s: (
        f"{d.get('monitor')}: {d.get('metric')} of {d.get('signal')} is {words.number(d.get('value'))}, "
        f"limit {words.number(d.get('threshold'))}"
    ),
    "monitor.resolved": lambda d, s: f"{words.name(s)}: {d.get('metric')} of {d.get('signal')} is good again",
    "monitor.completed": lambda d, s: f"{words.name(s)} ran: {_states(d.get('signals'))}",
    "monitor.failed": lambda d, s: f"{words.name(s)} could not run: {d.get('error', '')}",
    "release.started": lambda d, s: f"started {_release(d)} of {d.get('model')}:{d.get('version')}",
    "release.stage_entered": lambda d, s: f"{_release(d)} enters {d.get('workspace')}",
    "release.candidate": lambda d, s: f"{_release(d)}: the candidate is {d.get('model')}:{d.get('version')}",
    "release.evidence": lambda d, s: f"{words.plain(d.get('type', ''))}: {'; '.join(d.get('reasons', []))}",
    "release.judged": lambda d, s: f"{_release(d)}: the gate says {words.plain(d.get('outcome', ''))}",
    "release.waiting": lambda d, s: f"{_release(d)} waits for {_people(d)}",
    "release.approved": lambda d, s: f"{_release(d)} was approved by {', '.join(d.get('approvers', []))}",
    "release.rejected": lambda d, s: f"{_release(d)} was rejected: {'; '.join(d.get('reasons', []))}",
    "release.traffic": lambda d, s: f"{_release(d)}: traffic {_percent(d.get('traffic'))}",
    "release.baked": lambda d, s: f"{_release(d)}: {d.get('percent')} % held ({'; '.join(d.get('said', []))})",
    "release.promoted": lambda d, s: f"{d.get('model')}:{d.get('version')} serves in {d.get('workspace')}",
    "release.rolling_out": lambda d, s: f"{_release(d)} rolls out as {d.get('deployment')} at {d.get('endpoint')}",
    "release.stage_served": lambda d, s: f"{_release(d)} is done in {d.get('workspace') or 'its stage'}",
    "release.end_requested": lambda d, s: f"{_release(d)} is to end: {d.get('reason', '')}",
    "release.superseded": lambda d, s: f"{_release(d)} was overtaken: {'; '.join(d.get('reasons', []))}",
    "release.expired": lambda d, s: f"{_release(d)} expired: {'; '.join(d.get('reasons', []))}",
    "release.cancelled": lambda d, s: f"{_release(d)} was cancelled: {'; '.join(d.get('reasons', []))}",
    "release.not_started": lambda d, s: f"no release of {d.get('model')}:{d.get('version')}: {d.get('error', '')}",
    "release.completed": lambda d, s: f"{_release(d)} is completed",
    "release.failed": lambda d, s: f"{_release(d)} failed: {'; '.join(d.get('reasons', []))}",
    "release.rolled_back": lambda d, s: f"{_release(d)} was rolled back: {'; '.join(d.get('reasons', []))}",
    "release.defined": lambda d, s: f"defined release {words.name(s)} version {d.get('version')}",
    "rule.failed": lambda d, s: f"rule {words.name(s)} failed: {d.get('error', '')}",
    "rule.loop_stopped": lambda d, s: f"rule {words.name(s)} was stopped: {d.get('why', '')}",
    "rule.fired": lambda d, s: f"rule {words.name(s)} fired",
}


def _states(signals: Any) -> str:
    return ", ".join(f"{signal} {words.plain(state)}" for signal, state in (signals or {}).items())


def sentence(type_: str, subject: str, data: Mapping[str, Any]) -> str:
    """What a fact says; for a kind without a sentence of its own, its type and what it is about."""
    write = _SENTENCES.get(type_)
    if write is not None:
        # A fact that another version wrote may say it otherwise: the log is shown all the same.
        with contextlib.suppress(TypeError, AttributeError, KeyError):
            return _in_one_line(str(write(data, subject)))
    return f"{words.plain(type_.replace('.', ' '))}: {words.name(subject)}"


def _in_one_line(text: str) -> str:
    """An error's cure stands on a line of its own; in a sentence a full stop parts them."""
    return _BREAK.sub(" ", _UNENDED.sub(". ", text.strip()))


def is_told(type_: str) -> bool:
    """Whether facts of this kind have a sentence of their own."""
    return type_ in _SENTENCES


# Small steps between those that people look for on the first page.
_STEPS = {
    "approval.opened", "approval.closed", "deployment.created", "deployment.deleted", "endpoint.traffic",
    "environment.built", "release.baked", "release.judged", "release.rolling_out", "release.stage_served",
}  # fmt: skip


def is_news(type_: str) -> bool:
    """Whether a fact belongs on the first page."""
    return is_told(type_) and type_ not in _STEPS and not type_.startswith("access.")


def fact_tone(type_: str, data: Mapping[str, Any]) -> str:
    """What came out, if the fact says it (``outcome`` of evidence), else what happened."""
    states = list((data.get("signals") or {}).values()) if type_ == "monitor.completed" else []
    if "alert" in states:
        return "bad"
    return words.tone(str(data["outcome"])) if "outcome" in data else words.tone(type_.rpartition(".")[2])
