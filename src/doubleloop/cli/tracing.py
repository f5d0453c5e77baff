"""``doubleloop trace``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.cli import options, output

if TYPE_CHECKING:
    from doubleloop.cli.session import Session


@click.command("trace", cls=options.Verb)
@options.name("id")
@options.shared(workspace=False)
def trace(session: Session, name: str) -> output.Shown:
    """Explain a request, release, job, deployment, approval, model or data version, down to what it came from.

    ID is a request id, another id, model:WORKSPACE/NAME:VERSION or data:WORKSPACE/NAME:VERSION.
    """
    return output.Shown(session.client.trace(name), text=tree)


def tree(found: dict[str, Any]) -> str:
    """The nodes as an indented tree, each with its details below it."""
    lines = [str(found.get("title") or found.get("id"))]
    for node in found.get("nodes") or []:
        pad = "  " * (int(node.get("depth") or 0) + 1)
        relation = f"{node['relation']}: " if node.get("relation") else ""
        title = node.get("title") or node.get("id")
        lines.append(f"{pad}{relation}{title}")
        if node.get("id") and node["id"] not in str(title):
            lines.append(f"{pad}    id: {node['id']}")
        for key, value in (node.get("details") or {}).items():
            if value not in (None, "", [], {}):
                lines.append(f"{pad}    {key.replace('_', ' ')}: {output.plain(value)}")
    return "\n".join(lines)
