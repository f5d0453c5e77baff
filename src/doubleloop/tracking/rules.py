"""Where MLflow keeps what belongs to a workspace, as pure functions."""

from __future__ import annotations

import hashlib
import re
from typing import Any

# MLflow's own first workspace. Nothing of ours is in it: it alone is kept at the root of the artifact store.
UNUSED = "default"
SHARED = "registry"
# What MLflow takes as a workspace's name (Kubernetes names), less a form that is ours.
_PLAIN = re.compile(r"(?!x-)[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])")
_RESERVED = {UNUSED, "workspaces", "api", "ajax-api", "static-files"}


def place(workspace: str | None) -> str:
    """MLflow's name for one of our workspaces; None is the registry. No two of ours have the same."""
    name = SHARED if workspace is None else workspace
    if _PLAIN.fullmatch(name) and name not in _RESERVED:
        return name
    return f"x-{hashlib.sha256(name.encode()).hexdigest()[:40]}"


# Tags by which MLflow's server finds a trace's files. Its clients refuse to set them; the server itself does not, and
# would read from wherever they point.
OWN_TAGS = frozenset(
    {"mlflow.artifactLocation", "mlflow.trace.spansLocation", "mlflow.trace.archiveLocation",
     "mlflow.trace.archivalFailure"}
)  # fmt: skip


def own_tag(body: Any) -> str | None:
    """The first of ``OWN_TAGS`` that a request would set, as ``{"key": TAG}`` or ``{TAG: …}`` at any depth."""
    waiting = [body]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            named = [*each, each["key"]] if isinstance(each.get("key"), str) else [*each]
            found = OWN_TAGS.intersection(named)
            if found:
                return min(found)
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return None
