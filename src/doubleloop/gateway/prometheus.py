"""Families of points as Prometheus text, version 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable

from doubleloop.gateway.metrics import Buckets, Family, Labels

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


def render(families: Iterable[Family]) -> str:
    lines: list[str] = []
    for family in families:
        lines += [f"# HELP {family.name} {family.text}", f"# TYPE {family.name} {family.kind}"]
        for point in family.points:
            if isinstance(point.value, Buckets):
                lines += _histogram(family.name, point.labels, point.value)
            else:
                lines.append(_sample(family.name, point.labels, point.value))
    return "\n".join(lines) + "\n"


def _histogram(name: str, labels: Labels, buckets: Buckets) -> list[str]:
    total, lines = 0, []
    for bound, count in zip([*(f"{bound:g}" for bound in buckets.bounds), "+Inf"], buckets.counts, strict=True):
        total += count
        lines.append(_sample(f"{name}_bucket", {**labels, "le": bound}, total))
    return [*lines, _sample(f"{name}_sum", labels, buckets.total), _sample(f"{name}_count", labels, total)]


def _sample(name: str, labels: Labels, value: float) -> str:
    inner = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
    return f"{name}{{{inner}}} {value!r}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
