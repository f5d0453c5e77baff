"""Values as words for people: pure; the present moment is an argument."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import markupsafe

from doubleloop.base import clock

# What a colour says. Every status also says it in words.
_TONES = {
    "ok": (
        "completed exported reviewed passed ready approved ok whole enabled succeeded promoted served baked built "
        "given resolved"
    ),
    "bad": "failed rejected expired rolled_back alert broken denied altered refused",
    "warn": (
        "acknowledged silenced reopened waiting not_checked cancelled superseded skipped withdrawn draining disabled "
        "unknown end_requested conflicting"
    ),
    "info": "labelled running preparing starting rolling_out open started entered retraining deploying submitted",
}
_TONE = {word: tone for tone, words in _TONES.items() for word in words.split()}


def tone(status: str) -> str:
    """ok, warn, bad, info or muted."""
    known = str(status).replace(" ", "_")
    return _TONE.get(known) or _TONE.get(known.partition("_")[0], "muted")


def plain(status: str) -> str:
    return str(status).replace("_", " ")


def ago(moment: datetime | None, now: datetime) -> str:
    """``12 s ago``, ``in 3 d``; a day or more counts days until a month is over, then the date says it."""
    if moment is None:
        return "–"
    seconds = (now - moment).total_seconds()
    if abs(seconds) > 30 * 86400:
        return f"{moment:%-d %b %Y}"
    if abs(seconds) < 1:
        return "now"
    span = short_span(abs(seconds))
    return f"{span} ago" if seconds > 0 else f"in {span}"


def short_span(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def span(start: datetime | None, end: datetime | None) -> str:
    """How long something took: ``0.4 s``, ``12.3 s``, ``4 min 10 s``, ``2 h 5 min``."""
    if start is None or end is None:
        return "–"
    seconds = max((end - start).total_seconds(), 0.0)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min {int(seconds % 60)} s"
    return f"{minutes // 60} h {minutes % 60} min"


def at(moment: datetime | None) -> str:
    """``22 Nov 2026, 23:17:05 UTC``."""
    return "–" if moment is None else f"{moment:%-d %b %Y, %H:%M:%S} UTC"


def day(moment: datetime | None) -> str:
    return "–" if moment is None else f"{moment:%-d %b %Y}"


def binding(value: Any) -> str:
    """An input or output of a job or step in a few words; empty when its digest says all."""
    if not isinstance(value, Mapping):
        return str(value)
    if value.get("asset"):
        return name(str(value["asset"]))
    if str(value.get("from") or "").startswith("step:"):
        return f"from {name(str(value['from']))}"
    if "value" in value:
        return str(value["value"])
    for key in ("path", "step"):
        if value.get(key):
            return f"from {value[key]}" if key == "step" else str(value[key])
    return "" if value.get("reference") else str(value.get("type") or "–")


def number(value: Any) -> str:
    """Four significant digits at most, thin spaces in thousands, an en dash for nothing."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
    if isinstance(value, float):
        if value != value:
            return "NaN"
        if abs(value) >= 10000:
            return f"{value:,.0f}".replace(",", "\u202f")
        return f"{value:.4g}"
    return str(value)


def milliseconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value / 1000:.3g} s" if value >= 1000 else f"{value:.3g} ms"


def short(digest: str, length: int = 12) -> str:
    """The first characters of a digest or id that ends in one (``tree:sha256:ab12…``)."""
    text = str(digest)
    head, colon, tail = text.rpartition(":")
    if len(tail) <= length:
        return text
    return f"{head}{colon}{tail[:length]}…" if head in ("code", "content", "environment") else f"{tail[:length]}…"


def pretty(body: Any) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False, default=str, sort_keys=True)


def leaves(body: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """``("latency_ms.p99", 118.8)`` for every number, text and truth in nested JSON, in its order."""
    if isinstance(body, Mapping):
        for key, value in body.items():
            yield from leaves(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(body, list) and not any(isinstance(value, Mapping | list) for value in body):
        yield prefix, ", ".join(map(str, body))
    elif isinstance(body, list):
        for position, value in enumerate(body):
            named = next((key for key in ("group", "name", "column", "file", "id") if _names(value, key)), None)
            rest = {key: each for key, each in value.items() if key != named} if named else value
            yield from leaves(rest, f"{prefix}.{value[named] if named else position}")
    elif body is not None and body != "":
        yield prefix, body


def _names(value: Any, key: str) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get(key), str)


def measured(body: Mapping[str, Any], limit: int = 24) -> list[tuple[str, str]]:
    """The numbers of a check's evidence, without digests and long texts."""
    found = []
    for name, value in leaves(body.get("measurements", body)):
        if isinstance(value, str) and (len(value) > 60 or "digest" in name or name.endswith("lock")):
            continue
        found.append((name.replace("_", " ").replace(".", " · "), number(value)))
    return found[:limit]


def link(subject: str, workspace: str | None = None) -> str | None:
    """The page about a lineage id or a fact's subject, if there is one; ``workspace`` is where a job runs."""
    kind, _, rest = subject.partition(":")
    if not rest:
        return None
    if kind == "release":
        return f"/releases/{quote(rest)}"
    if kind == "job":
        return f"/jobs/{quote(workspace)}/{quote(rest)}" if workspace else None
    if kind == "step" and workspace:
        job, _, step = rest.partition("/")
        return f"/jobs/{quote(workspace)}/{quote(job)}?step={quote(step)}"
    if kind in ("alert", "endpoint", "monitor"):
        return f"/{kind}s/{quote(rest)}"
    if kind == "labeling":
        return f"/labeling/{quote(rest)}"
    if kind == "model":
        name, _, version = rest.rpartition("/")[2].rpartition(":")
        return f"/models/{quote(name)}#v{quote(version)}"
    if kind == "budget":
        return "/budgets"
    return trace(rest) if kind == "deployment" else None


def prose(text: str) -> markupsafe.Markup:
    """The Markdown that guidelines need: headings, lists, paragraphs, **bold**, *stressed* and `code`; all else is
    text, whatever it holds."""
    blocks = []
    for block in re.split(r"\n\s*\n", str(text).strip()):
        lines = block.strip().split("\n")
        if all(re.match(r"\s*[-*] ", line) for line in lines):
            items = "".join(f"<li>{_inline(line.strip()[2:])}</li>" for line in lines)
            blocks.append(f"<ul>{items}</ul>")
        elif re.match(r"#+ ", lines[0]):
            blocks.append(f"<p><b>{_inline(lines[0].lstrip('# '))}</b></p>")
            blocks += [f"<p>{_inline(' '.join(lines[1:]))}</p>"] if lines[1:] else []
        else:
            blocks.append(f"<p>{_inline(' '.join(lines))}</p>")
    return markupsafe.Markup("".join(blocks))


def _inline(text: str) -> str:
    found = str(markupsafe.escape(text))
    for pattern, tag in ((r"`([^`]+)`", "code"), (r"\*\*(.+?)\*\*", "b"), (r"\*(.+?)\*", "i")):
        found = re.sub(pattern, rf"<{tag}>\1</{tag}>", found)
    return found


def trace(id_: str) -> str:
    return f"/trace?id={quote(id_, safe='')}"


def name(subject: str) -> str:
    """A lineage id as people say it: ``bikes:3`` for ``model:registry/bikes:3``, ``train`` for a step."""
    kind, _, rest = subject.partition(":")
    if kind in ("alert", "model", "data", "component", "endpoint", "labeling", "monitor", "step") and "/" in rest:
        return rest.rpartition("/")[2]
    if kind == "environment" and "/" in rest:
        return rest.rpartition("/")[2]
    return short(rest) if kind in ("environment", "code", "run", "content", "tree", "blob") else rest or subject


def size(value: float) -> str:
    """Bytes as ``249.9 kB``, ``10.8 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 1000:
            return f"{value:.3g} {unit}" if unit != "B" else f"{value:.0f} B"
        value /= 1000
    return f"{value:.3g} TB"


def usage(used: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a step used, without when (that is told elsewhere) and without noughts."""
    found = []
    for name, value in used.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not value:
            continue
        is_bytes = "bytes" in name or "rss" in name
        words = {"max_rss": "memory", "cpu_seconds": "processor"}.get(name, plain(name).replace(" bytes", ""))
        found.append((words, size(value) if is_bytes else f"{number(value)} s" if "seconds" in name else number(value)))
    return found


def compact(text: str, length: int) -> str:
    """The text with its middle left out when it is longer than ``length``."""
    if len(text) <= length:
        return text
    keep = length - 1
    return f"{text[: keep - keep // 3]}…{text[len(text) - keep // 3 :]}"


def iso(moment: datetime | None) -> str:
    return clock.iso(moment) if moment else ""


def log_text(chunk: bytes, is_end: bool) -> tuple[str, int]:
    """The text of a piece of a log and how many of its bytes that took: a character cut in two waits for its rest.

    A progress bar's line (rewritten with carriage returns) shows as it looked last.
    """
    used = len(chunk)
    if not is_end:
        for back in range(1, min(4, used + 1)):
            byte = chunk[used - back]
            if byte & 0xC0 == 0x80:
                continue
            need = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            if need > back:
                used -= back
            break
    text = chunk[:used].decode("utf-8", "replace").replace("\r\n", "\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")), used


def example_value(type_: str) -> Any:
    """A value of an MLflow column type, for the line that shows how to call an endpoint."""
    return {"long": 1, "integer": 1, "double": 1.5, "float": 1.5, "boolean": True, "string": "text",
            "datetime": "2026-01-31T12:00:00"}.get(type_)  # fmt: skip


def example_body(signature: Mapping[str, Any] | None) -> str:
    """The body of a request that fits a signature with columns; empty for one without."""
    columns = [each for each in (signature or {}).get("inputs") or [] if each.get("name")]
    if not columns:
        return ""
    names = [each["name"] for each in columns]
    values = [example_value(str(each.get("type"))) for each in columns]
    return json.dumps({"input_data": {"columns": names, "data": [values]}}, ensure_ascii=False)


def curl(url: str, key: str | None, body: str) -> str:
    """The command that calls an endpoint, safe to paste: names of columns are other people's words.

    ``key`` None leaves the header out.
    """
    parts = [f"curl {shlex.quote(url)}"]
    if key is not None:
        parts.append(f"-H {shlex.quote(f'Authorization: Bearer {key}')}")
    parts += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(body or '{}')}"]
    return " \\\n  ".join(parts)
