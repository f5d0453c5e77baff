"""What a job refers to must be there when it is submitted: a mistyped name is told at once, with its line.

What the name means is settled when the step starts; files in datastores, which an earlier step may write, are looked
for only then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from doubleloop.base import errors
from doubleloop.data import contracts
from doubleloop.data import queries as data
from doubleloop.db.context import Ctx
from doubleloop.environments import queries as environments
from doubleloop.jobs import model, ports, rules
from doubleloop.jobs.model import Task
from doubleloop.models import queries as models
from doubleloop.specs import beside, pointers, references
from doubleloop.specs import model as specs
from doubleloop.vault import queries as vault


def check(ctx: Ctx, document: specs.Document, tasks: Iterable[Task]) -> None:
    """Raises NotFound, NotSupported or InvalidInput, naming the line of the job's file."""
    for at, _ in beside.components(document.model):
        where = document.where(pointers.join((*at, beside.NAME)))
        raise errors.InvalidInput(f"'{beside.NAME}' have not been uploaded as part of the code", where=where)
    # Whoever plugs in another builder of environments knows names of its own.
    known = ports.Environments not in ctx.ports
    for task in everything(tasks):
        if known and isinstance(task.environment, str) and task.environment:
            _at(document, task.environment, lambda named=task.environment: environments.resolve(ctx, named))
        for variable in task.environment_variables.values():
            _at(document, variable, lambda text=variable: vault.check(ctx, text))
        for source in task.inputs.values():
            reference = source.get("reference")
            if reference:
                kind = str(source.get("type") or "")
                _at(document, str(reference), lambda named=str(reference), kind=kind: _resolve(ctx, named, kind))


def everything(tasks: Iterable[Task]) -> Iterator[Task]:
    """The tasks, and all that are inside them."""
    for task in tasks:
        yield task
        inside = [*task.settings.get("steps", ()), task.settings.get("body"), task.settings.get("trial")]
        yield from everything(model.task(each) for each in inside if each)
        for item in task.settings.get("items", {}).values():
            yield replace(task, name="", environment="", inputs=item, settings={})


def _resolve(ctx: Ctx, written: str, type_: str) -> None:
    reference = references.parse(written)
    if not isinstance(reference, references.Asset | references.RegistryAsset):
        return
    if reference.kind == "models" or (reference.kind is None and type_ in rules.MODEL_TYPES):
        models.resolve(ctx, str(reference))
    else:
        contracts.refuse_known(ctx, data.resolve(ctx, str(reference)).asset)


def _at(document: specs.Document, written: str, look: Any) -> None:
    try:
        look()
    except errors.DoubleloopError as error:
        if error.where is not None:
            raise
        pointer = next(_places(document.spec(), written), "")
        raise type(error)(error.what, where=document.where(pointer), cure=error.cure, details=error.details) from error


def _places(value: Any, wanted: str, path: str = "") -> Iterator[str]:
    """Dotted paths at which ``wanted`` is written."""
    if value == wanted:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _places(inner, wanted, f"{path}.{key}" if path else str(key))
