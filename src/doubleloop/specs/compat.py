"""One table: for every field of every kind, whether it is honoured, accepted without effect, or refused, and why.

It is put together from the ``SUPPORT`` that stands beside each kind.
``python -m doubleloop.specs.compat`` writes docs/reference-fields.md from it.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from pathlib import Path

from doubleloop.base import errors
from doubleloop.specs import detection, fields, refusals, support
from doubleloop.specs.kinds import (
    assets,
    automl,
    batch,
    contracts,
    control,
    distribution,
    environment,
    generation,
    graphs,
    infrastructure,
    jobs,
    labeling,
    model_signals,
    monitors,
    online,
    parallel,
    places,
    releases,
    rules,
    schedules,
    setups,
    signal_data,
    spark,
    sweeps,
    values,
)
from doubleloop.specs.model import Notice
from doubleloop.specs.sources import Source

KINDS = (
    assets,
    automl,
    batch,
    contracts,
    control,
    distribution,
    environment,
    generation,
    graphs,
    infrastructure,
    jobs,
    labeling,
    model_signals,
    monitors,
    online,
    parallel,
    places,
    releases,
    rules,
    schedules,
    setups,
    signal_data,
    spark,
    sweeps,
    values,
)

TABLE: dict[type[fields.Spec], support.Rows] = {fields.TextFile: support.rows("$file text files")}
for _kind in KINDS:
    TABLE |= _kind.SUPPORT

# Kinds that are read in full and that no part of the system serves yet: one notice per document.
NOT_SERVED: dict[str, str] = {}


def entries(model: type[fields.Spec]) -> support.Rows:
    """The rows of a class, with those of the classes it builds on."""
    rows: support.Rows = {}
    for base in reversed(model.__mro__):
        rows |= TABLE.get(base, {})
    return rows


def notices(kind: str, model: fields.Spec, source: Source) -> tuple[Notice, ...]:
    """One notice per accepted field that is used. Raises NotSupported for a refused one, with what to write instead."""
    found: dict[tuple[str, str], Notice] = {}
    idle: list[tuple[str, ...]] = []  # accepted fields: what is inside them needs no notice of its own
    if kind in NOT_SERVED:
        found[kind, ""] = Notice(source.where(), kind, NOT_SERVED[kind])
    for visit in fields.walk(model):
        entry = entries(type(visit.owner))[visit.name]
        where = source.where(visit.pointer)
        if entry.status == "refused":
            raise errors.NotSupported(f"'{visit.name}' {entry.why}", where=where, cure=entry.instead)
        if any(visit.pointer[: len(above)] == above for above in idle):
            continue
        if entry.status == "accepted":
            idle.append(visit.pointer)
            found.setdefault((visit.owner.title, visit.name), Notice(where, visit.name, entry.why))
    for pointer, inner in fields.models(model):
        for name in inner.model_extra or {}:
            where = source.where((*pointer, name))
            found.setdefault((inner.title, name), Notice(where, name, _ignored(name, inner)))
    return tuple(sorted(found.values(), key=lambda notice: (notice.where.file, notice.where.line)))


def _ignored(name: str, model: fields.Spec) -> str:
    near = difflib.get_close_matches(name, model.field_names(), n=1, cutoff=0.7)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"is not a field that is known here, and is ignored as Azure ML does{hint}"


def reachable(model: type[fields.Spec]) -> Iterator[type[fields.Spec]]:
    """``model`` and every class of fields inside it, each once, in order of first use."""
    seen: dict[type[fields.Spec], None] = {}
    _collect(model, seen)
    yield from seen


def _collect(annotation: object, seen: dict[type[fields.Spec], None]) -> None:
    if isinstance(annotation, type) and issubclass(annotation, fields.Spec):
        if annotation not in seen:
            seen[annotation] = None
            for field in annotation.typed_fields().values():
                _collect(field.annotation, seen)
        return
    for inner in getattr(annotation, "__args__", ()):
        _collect(inner, seen)


_HEAD = """# Fields of every kind of file

*Honoured* fields do what they say. *Accepted* ones may stand in a file and have no effect here; they are reported
once when the file is used. *Refused* ones stop with an error that says what to write instead. Every other field is
unknown, and unknown fields are errors with file, line and the nearest known name, except where Azure ML lets them
pass too: at the top of a component, in a step that uses `component:`, in `settings:`, and in the `resources:` of a
component. There they are reported and ignored.

This page is generated from `doubleloop/specs/compat.py` by `python -m doubleloop.specs.compat`.
"""


def page() -> str:
    """The reference page, as Markdown."""
    lines = [_HEAD]
    done: set[str] = set()
    for kind, model in detection.MODELS.items():
        lines.append(f"\n## {kind.replace('_', ' ')}\n")
        if kind in NOT_SERVED:
            lines.append(f"A {kind.replace('_', ' ')} {NOT_SERVED[kind]}.\n")
        for inner in reachable(model):
            if inner is not model and inner.title in done:
                continue
            done.add(inner.title)
            if inner is not model:
                lines.append(f"\n### {inner.title}\n")
            lines += _table(inner)
    lines.append("\n## Kinds that are recognised and refused\n\n| what | use instead |\n|---|---|")
    lines += [f"| {what} | {instead} |" for what, instead in refusals.DOCUMENTS.values()]
    lines += [f"| pipeline steps of type `{name}` | {instead} |" for name, instead in refusals.STEPS.items()]
    return "\n".join(lines) + "\n"


def _table(model: type[fields.Spec]) -> list[str]:
    rows = entries(model)
    lines = ["| field | status | meaning |", "|---|---|---|"]
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        entry = rows[name]
        remark = f" It {entry.why}." if entry.why else ""
        remark += f" Instead: {entry.instead}." if entry.instead else ""
        needed = " (required)" if field.is_required() else ""
        text = f"{field.description or ''}{remark}".replace("|", "\\|")
        lines.append(f"| `{name}`{needed} | {entry.status} | {text} |")
    return [*lines, ""]


def main(target: Path = Path("docs/reference-fields.md")) -> None:
    target.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {target}\n")


if __name__ == "__main__":
    main()
