"""The types a skops file asks for: its ``schema.json`` names every one before anything is built."""

from __future__ import annotations

import json
from typing import Any

from doubleloop.quarantine import allowlist
from doubleloop.quarantine.model import Finding, Policy, Severity

_MOST_NODES = 5_000_000
# Loaders that build something of their own kind; for them the node's class is what they hold, not what they call.
_PLAIN_LOADERS = frozenset({"JsonNode", "DictNode", "ListNode", "SetNode", "TupleNode", "BytesNode", "BytearrayNode",
                            "SliceNode"})  # fmt: skip


def types_in(schema: Any) -> dict[tuple[str, str], str]:
    """Every ``(module, class)`` a schema names, with its path. Raises ValueError when it is not a skops schema."""
    if not isinstance(schema, dict) or "__loader__" not in schema:
        raise ValueError("it has no __loader__")
    found: dict[tuple[str, str], str] = {}
    waiting: list[tuple[Any, str]] = [(schema, "")]
    seen = 0
    while waiting:
        node, path = waiting.pop()
        seen += 1
        if seen > _MOST_NODES:
            raise ValueError("it has more nodes than a scan can follow")
        if isinstance(node, dict):
            if "__class__" in node and "__module__" in node:
                found.setdefault((str(node["__module__"]), str(node["__class__"])), path or "the root")
            waiting.extend((value, f"{path}/{key}") for key, value in node.items() if isinstance(value, (dict, list)))
        elif isinstance(node, list):
            waiting.extend((value, f"{path}/{at}") for at, value in enumerate(node) if isinstance(value, (dict, list)))
    return found


def check(text: bytes, file: str, policy: Policy) -> list[Finding]:
    """Findings for the types a workspace would have to trust to load the file."""
    try:
        named = types_in(json.loads(text))
    except (ValueError, RecursionError) as problem:
        return [Finding(file, "", 0, Severity.HIGH, f"is no skops schema: {problem}")]
    findings = []
    for (module, name), path in sorted(named.items()):
        judgement = allowlist.judge(module, name, policy)
        if judgement:
            findings.append(
                Finding(file, f"{module}.{name}", 0, judgement.severity, f"{judgement.why} (skops type at {path})")
            )
    return findings
