"""The rules that a scenario brings: what an alert leads to when nobody has said anything else.

As in the MLOps v2 article: a classical model is trained again and goes through staging; for vision and language people
look first, because new data has to be labelled: a labelling project is opened on what the model was least sure of and
what moved most, in the release's first workspace, and the data scientists are told. Alerts about infrastructure go to
the platform team by themselves (``monitoring.rules.AUDIENCE``). A default rule is the definition's author's; whoever
writes a rule that starts the same release takes its place, and one that was deleted stays away.
"""

from __future__ import annotations

from typing import Any

from doubleloop.automation import model, store
from doubleloop.base import errors
from doubleloop.db.context import Ctx
from doubleloop.events import commands as events
from doubleloop.events.model import Fact
from doubleloop.releases import queries as releases
from doubleloop.specs import documents

COOL_DOWN = "1d"
# What people are asked where new data has to be labelled.
TASKS = {"vision": "image_classification", "language": "text_classification"}
_ASK = (
    "The model behind ${{fact.endpoint}} does not fit its data any more. Nothing is trained by itself: look at what "
    "moved, label the rows of the labelling project that was opened on it (if the release's author may read the "
    "endpoint), and start the release then."
)


def name_of(release: str) -> str:
    return f"{release[:240]}-on-alert"


def put(ctx: Ctx, fact: Fact) -> None:
    """A definition is new, or has another scenario: its default rules, where a stage of it has a monitor."""
    name = fact.subject.partition(":")[2]
    try:
        definition = releases.find_definition(ctx, name, fact.data["version"])
        before = releases.find_definition(ctx, name, definition.version - 1) if definition.version > 1 else None
    except errors.DoubleloopError:
        return
    if before is not None and before.scenario == definition.scenario:
        return
    document = documents.from_wire(definition.document)
    trains = any(stage.retrain is not None for stage in document.model.stages)
    for stage in document.model.stages:
        if stage.monitor is not None:
            first = definition.workspaces[0]
            body = _rule(definition.name, definition.scenario, trains, _monitor(stage.monitor), first)
            _put(ctx.in_workspace(stage.workspace), body, definition.name, definition.created_by)


def _monitor(monitor: Any) -> str:
    return str(monitor if isinstance(monitor, str) else monitor.name)


def _rule(release: str, scenario: str, trains: bool, monitor: str, first: str) -> dict[str, Any]:
    if scenario == "classical" and trains:
        does: list[dict[str, Any]] = [{"retrain": {"release": release}}]
        says = f"Default of the scenario classical: train again and go back to staging, by release {release}."
    else:
        title = "${{fact.monitor}}: people are asked before " + release + " is trained again"
        tells = {"notify": {"to": ["persona:data_scientist"], "title": title, "message": _ASK}}
        task = TASKS.get(scenario)
        opens = {"open_labeling": {"project": f"{release[:200]}-labels", "task": task, "workspace": first}}
        does = [opens, tells] if task else [tells]
        says = f"Default of the scenario {scenario}: people look first."
    return {
        "name": name_of(release), "description": says, "on": "monitor.alert",
        "where": {"monitor": monitor, "kind": "model"}, "do": does, "cool_down": COOL_DOWN,
    }  # fmt: skip


def _put(ctx: Ctx, body: dict[str, Any], release: str, author: str) -> None:
    assert ctx.workspace is not None
    known = store.rules(ctx, ctx.workspace)
    if any(not each.is_default and starts(each, release) for each in known):
        return
    before = next((each for each in known if each.name == body["name"]), None)
    if before is not None and not before.is_default:
        return
    document = documents.from_model("rule", body, f"scenario of {release}").to_wire()
    made = model.Rule(ctx.workspace, body["name"], document, True, None, author, ctx.now, is_default=True)
    store.put_rule(ctx, made)
    events.record(
        ctx, "rule.changed" if before else "rule.created", made.id, on=body["on"], default=True, before=None, after=body
    )


def starts(rule: model.Rule, release: str) -> bool:
    """Whether a rule's actions start the release."""
    for action in documents.from_wire(rule.document).model.do:
        if action.verb in ("retrain", "start_release") and getattr(action, action.verb).release == release:
            return True
    return False


def give_way(ctx: Ctx, rule: model.Rule) -> None:
    """Remove the default rules of the releases that a rule of somebody's own starts now."""
    for each in store.rules(ctx, rule.workspace):
        release = each.name.removesuffix("-on-alert")
        if each.is_default and each.name != rule.name and starts(rule, release):
            store.delete_rule(ctx, each.workspace, each.name)
            events.record(ctx, "rule.deleted", each.id, why=f"{rule.name} takes its place")
