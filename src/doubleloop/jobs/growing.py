"""What a group is made of next: the steps that it adds while the job runs, and what its outputs are: pure.

A group is a step that is made of steps: a pipeline within a pipeline, a loop, a search. Its own steps are rows of the
same job, named ``GROUP.STEP``. They are added at the group's turns by ``grow``, which sees nothing but what is stored,
so that a turn that is repeated adds nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from doubleloop.jobs import model, planning
from doubleloop.jobs.model import ENDED, Kind, Status, Step, Task

Source = Mapping[str, Any]


@dataclass(frozen=True)
class Growth:
    """``add`` are new steps, ``stop`` maps a running one to why it is given up. ``outputs`` are those of the group, as
    (step, output), once it is completed. ``end`` is how the group ends if its steps have, ``reason`` why it failed;
    None leaves it to them (``planning.turn``). ``notes`` are lines for its log."""

    add: tuple[Task, ...] = ()
    stop: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    end: Status | None = None
    reason: str = ""
    best: str = ""


def placed(template: Task, prefix: str, inputs: Mapping[str, Source], parent: str = "") -> Task:
    """A step of a group as one of the job: its name under ``prefix``, the group's inputs followed to their sources."""
    return replace(
        template,
        name=f"{prefix}{template.name}",
        parent=parent,
        inputs={name: _followed(source, prefix, inputs) for name, source in template.inputs.items()},
        when=tuple({**each, "source": _followed(each["source"], prefix, inputs)} for each in template.when),
        needs=tuple(f"{prefix}{need}" for need in template.needs),
        settings=_settings(template, prefix, inputs),
    )


def _followed(source: Source, prefix: str, inputs: Mapping[str, Source]) -> dict[str, Any]:
    if "input" in source:
        found = inputs.get(str(source["input"]))
        if found is None or ("value" in found and found["value"] is None):
            found = source.get("default") or {"type": None, "value": None}
        return {**found, **({"mode": source["mode"]} if source.get("mode") and "reference" in found else {})}
    if "step" in source:
        return {**source, "step": f"{prefix}{source['step']}"}
    return dict(source)


def _settings(template: Task, prefix: str, inputs: Mapping[str, Source]) -> Mapping[str, Any]:
    """The items of a parallel_for name sources of the pipeline around it."""
    if template.kind is not Kind.PARALLEL_FOR:
        return template.settings
    items = {
        label: {name: _followed(source, prefix, inputs) for name, source in each.items()}
        for label, each in template.settings["items"].items()
    }
    return {**template.settings, "items": items}


def grow(group: Task, steps: Sequence[Step]) -> Growth:
    """The next growth of a group whose steps are ``steps``, in the order in which they were added."""
    return _KINDS[group.kind](group, steps)


def _pipeline(group: Task, steps: Sequence[Step]) -> Growth:
    prefix = f"{group.name}."
    add = () if steps else tuple(
        placed(model.task(each), prefix, group.inputs, group.name) for each in group.settings["steps"]
    )  # fmt: skip
    outputs = {
        name: (f"{prefix}{source['step']}", str(source["output"])) for name, source in group.settings["outputs"].items()
    }
    return Growth(add, outputs=outputs)


def _do_while(group: Task, steps: Sequence[Step]) -> Growth:
    settings = group.settings
    if not steps:
        return Growth((repeated(group, 1, group.inputs),))
    last, rounds = steps[-1], len(steps)
    if last.status is not Status.COMPLETED:
        return Growth()
    condition = settings["condition"]
    goes_on = condition is None or planning.is_true(last.outputs.get(condition, {}).get("value"))
    if goes_on and rounds < settings["limit"]:
        carried = {
            name: {"type": None, "step": last.name, "output": output}
            for output, names in settings["mapping"].items()
            for name in names
        }
        return Growth((repeated(group, rounds + 1, {**group.inputs, **carried}),))
    return Growth(outputs={name: (last.name, name) for name in last.outputs})


def repeated(group: Task, label: int | str, inputs: Mapping[str, Source]) -> Task:
    """The step inside a loop once more."""
    body = replace(model.task(group.settings["body"]), name=str(label))
    task = placed(body, f"{group.name}.", inputs, group.name)
    flows = {str(source["step"]) for source in task.inputs.values() if "step" in source}
    siblings = tuple(sorted(name for name in flows if name.startswith(f"{group.name}.")))
    return replace(task, needs=siblings, display_name=f"{body.display_name} {label}")


def _parallel_for(group: Task, steps: Sequence[Step]) -> Growth:
    items = group.settings["items"]
    begun = {step.name for step in steps}
    active = sum(step.status not in ENDED for step in steps)
    room = (group.settings["at_once"] or len(items)) - active
    waiting = [label for label in items if f"{group.name}.{label}" not in begun]
    add = [repeated(group, label, {**group.inputs, **items[label]}) for label in waiting[: max(room, 0)]]
    return Growth(tuple(add))


_KINDS: dict[Kind, Callable[[Task, Sequence[Step]], Growth]] = {
    Kind.PIPELINE: _pipeline,
    Kind.DO_WHILE: _do_while,
    Kind.PARALLEL_FOR: _parallel_for,
}
