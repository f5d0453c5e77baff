"""Judgement about releases: pure; time is an argument."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from doubleloop.base import errors
from doubleloop.gates import rules as gates
from doubleloop.releases import model

LOOKS = 20
LOOK_SECONDS = 5.0
MAX_DEPLOYMENT_NAME = 60


def check_name(stage: int, index: int, type_: str) -> str:
    """``0.2:model_quality``: the third check of the first stage."""
    return f"{stage}.{index}:{type_}"


def required(stage: int, types: Sequence[str]) -> list[str]:
    return [check_name(stage, index, type_) for index, type_ in enumerate(types)]


def of_stages(evidence: Iterable[Any], last: int) -> list[Any]:
    """The evidence of the stages up to ``last``: what a person who decides there has before them."""
    return [each for each in evidence if int(each.check.partition(".")[0]) <= last]


def deployment_name(written: str, number: int) -> str:
    """``blue`` of release 12 is ``blue-r12``: no release takes the name of another's deployment."""
    return f"{written[:MAX_DEPLOYMENT_NAME]}-r{number}"


def rollout_steps(steps: Sequence[int], traffic_before: Mapping[str, int]) -> list[int]:
    """The shares a candidate takes one after another. Where nothing takes traffic there is nothing to share it with,
    so it takes all of it at once (and is still watched for the bake time)."""
    return list(steps) if sum(traffic_before.values()) > 0 else [100]


def shares(before: Mapping[str, int], candidate: str, percent: int) -> dict[str, int]:
    """``percent`` to the candidate, the rest as it was shared before, in whole per cents that add up to 100.

    What is lost by rounding goes to the largest remainders, ties by name.
    """
    others = {name: share for name, share in before.items() if share > 0 and name != candidate}
    total = sum(others.values())
    if percent >= 100 or total == 0:
        return {candidate: 100}
    rest = 100 - percent
    exact = {name: share * rest / total for name, share in others.items()}
    whole = {name: int(value) for name, value in exact.items()}
    for name in sorted(exact, key=lambda each: (whole[each] - exact[each], each))[: rest - sum(whole.values())]:
        whole[name] += 1
    return {candidate: percent, **{name: share for name, share in whole.items() if share > 0}}


def rescaled(before: Mapping[str, int]) -> dict[str, int]:
    """The same proportions, adding up to 100 again after something fell out; empty stays empty."""
    if not before:
        return {}
    largest = max(before, key=lambda name: (before[name], name))
    rest = {name: share for name, share in before.items() if name != largest}
    total = sum(before.values())
    whole = {name: share * 100 // total for name, share in rest.items()}
    return {largest: 100 - sum(whole.values()), **{name: share for name, share in whole.items() if share > 0}}


def looks(bake_seconds: float) -> list[float]:
    """Seconds to wait before each look during a bake: about every five seconds, at most twenty looks, at least one."""
    count = max(1, min(LOOKS, int(bake_seconds // LOOK_SECONDS)))
    return [bake_seconds / count] * count


def overtaken(release: model.Release, others: Iterable[model.Release]) -> list[model.Release]:
    """Older releases of the same definition that ``release`` overtakes when it asks for people or for traffic: all
    that have come no further and do not move traffic. Whoever comes last with everything checked is what people want
    to decide on.
    """
    return [
        other
        for other in others
        if other.number < release.number
        and other.position <= release.position
        and other.status in (model.Status.RUNNING, model.Status.WAITING)
    ]


def turn(release: model.Release, others: Iterable[model.Release]) -> tuple[str, str]:
    """Whether ``release`` may begin to move traffic: ("go" | "wait" | "superseded", why). ``others`` are those of its
    definition, and whatever moves traffic by another one.

    One release of a definition moves traffic at a time, and one on an endpoint. One that a newer release of its
    definition has passed never goes out after it.
    """
    others = [other for other in others if other.id != release.id]
    same = [other for other in others if other.definition == release.definition]
    for other in (other for other in same if other.number > release.number):
        as_far = other.status is model.Status.ROLLING_OUT and other.position >= release.position
        if as_far or other.status is model.Status.COMPLETED:
            return "superseded", f"release {other.number} ({other.id}) is newer and has {_state(other)}"
    beside = [other for other in others if other not in same and _place(other) == _place(release)]
    moving = next((other for other in (*same, *beside) if other.status is model.Status.ROLLING_OUT), None)
    if moving:
        return "wait", f"release {moving.number} ({moving.id}) is moving traffic"
    return "go", ""


def _place(release: model.Release) -> tuple[str, str] | None:
    """The endpoint that the release is at, if its stage has one."""
    stage = release.stages[release.position] if release.stages else None
    return (stage.workspace, stage.endpoint) if stage and stage.endpoint else None


def _state(release: model.Release) -> str:
    return "been completed" if release.status is model.Status.COMPLETED else "begun to move traffic"


def champion_moved(judged: str | None, now: str) -> str:
    """Why the comparison with the champion no longer stands; empty when it does, or none was made."""
    if judged is None or judged == now:
        return ""
    then, there = judged or "no version", now or "no version"
    return (
        f"the candidate was compared with the champion {then}, but the champion is now {there}: start the release again"
    )


_CAUSE = {"rule": "wrote the rule that started the release", "model.registered": "registered the model"}


def authors(
    release: model.Release,
    definitions: Iterable[model.Definition],
    versions: Iterable[Any],
    jobs: Sequence[Any],
    wrote: Mapping[str, str],
    retried: Iterable[tuple[str, str]] = (),
) -> dict[str, str]:
    """Who had a hand in it, and how. When an automation started the release, the rule's and the definition's authors
    stand for it; ``definitions`` are all versions up to the release's, as what the newest says may be an earlier
    author's; ``versions`` are model versions, ``jobs`` (created_by) that led to them, ``wrote`` maps a user to the
    commit of the code that they wrote."""
    named: list[tuple[str | None, str]] = [
        (release.created_by, "started the release"),
        *((each.created_by, "wrote the release definition") for each in definitions),
        (release.trigger.get("author"), _CAUSE.get(str(release.trigger.get("type")), "caused the release")),
    ]
    for version in versions:
        named.append((version.created_by, f"registered {version.name}:{version.version}"))
        named += [(author, f"made {version.name}:{version.version}") for author in version.authors]
    named += [(job.created_by, f"started the job {job.id}") for job in jobs]
    named += [(user, f"ran the job {job} again") for user, job in retried]
    named += [(user, f"wrote the commit {commit[:12]} of the code") for user, commit in wrote.items()]
    return gates.authors(named)


def pinned(reference: str) -> bool:
    """Whether a data reference means rows that somebody chose: a version, content by its hash, or a label.

    A label (``@production``) moves only by an act that is on record, and the evidence names the version that it meant.
    ``@latest``, and a bare name, become other rows whenever anybody adds a version.
    """
    if reference.startswith(("blob:sha256:", "tree:sha256:")):
        return True
    if reference.startswith("azureml://"):
        return "/versions/" in reference or ("/labels/" in reference and not reference.endswith("/labels/latest"))
    name, separator, chosen = reference.removeprefix("azureml:").replace("@", ":@").partition(":")
    return bool(name and separator and chosen) and chosen != "@latest"


MLFLOW_TYPES = {
    "Int8": "integer", "Int16": "integer", "Int32": "integer", "UInt8": "integer", "UInt16": "integer",
    "Int64": "long", "UInt32": "long", "Float32": "float", "Float64": "double", "Decimal": "double",
    "Boolean": "boolean", "String": "string", "Categorical": "string", "Enum": "string", "Date": "datetime",
    "Datetime": "datetime",
}  # fmt: skip


def infer_signature(
    columns: Sequence[tuple[str, str, bool]], target: str, features: Sequence[str] | None
) -> dict[str, Any]:
    """MLflow's input schema from (name, polars type, has missing values) of a hold-out, without its target.

    A whole number with missing values becomes a double, since integers have no missing value. Raises InvalidInput.
    """
    known = {name: (kind, missing) for name, kind, missing in columns}
    wanted = list(features) if features else [name for name in known if name != target]
    absent = [name for name in wanted if name not in known]
    if absent:
        raise errors.InvalidInput(f"the hold-out has no column '{absent[0]}'", cure=f"It has: {', '.join(known)}.")
    inputs = []
    for name in wanted:
        kind, missing = known[name]
        if kind not in MLFLOW_TYPES:
            raise errors.InvalidInput(
                f"column '{name}' of the hold-out is of type {kind}, which no signature can name",
                cure="Log the model with a signature (mlflow.models.infer_signature).",
            )
        type_ = MLFLOW_TYPES[kind]
        inputs.append(
            {"name": name, "type": "double" if missing and type_ in ("integer", "long") else type_, "required": True}
        )
    return {"inputs": inputs, "outputs": None}


def thing(definition: str) -> str:
    """What a definition, and every release of it, is called where roles and tokens name one."""
    return f"release-definition/{definition}"
