"""``doubleloop role``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from doubleloop.base import errors
from doubleloop.cli import options, output, passwords, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_ACTION = re.compile(r"[a-z]+\.[a-z]+\Z")
_COLUMNS = (
    output.Column("Group", "name"),
    output.Column("Persona", "persona"),
    output.Column("Members", "members"),
    output.Column("Workspaces", "workspaces", lambda names: ", ".join(names or []) or "all"),
)


@click.group("role", cls=tree.Verbs)
def GROUP() -> None:
    """Groups, personas, and who may do what."""


@GROUP.command("list", cls=options.Verb)
@click.option("--personas", is_flag=True, help="What each persona may do, in place of the groups.")
@options.shared(workspace=False)
def list_(session: Session, personas: bool) -> output.Shown:
    """The groups, with their persona and members."""
    found = session.client.roles()
    if personas:
        return output.Shown(found.get("personas") or {}, text=_personas)
    return output.Shown(found["items"], _COLUMNS)


def _personas(found: dict[str, Any]) -> str:
    cells = [
        [persona, kind, ", ".join(actions) or "nothing"]
        for persona, kinds in found.items()
        for kind, actions in kinds.items()
    ]
    return output.rows(("Persona", "Workspace", "May"), cells)


@GROUP.command("explain", cls=options.Verb)
@click.argument("words", nargs=-1, required=True, metavar="[WHO] ACTION [ON]")
@click.option("--who", metavar="USER", help="About whom  [default: you]")
@click.option("--resource", metavar="KIND/NAME", help="On one thing of the workspace, such as endpoint/bikes.")
@options.shared()
def explain(session: Session, words: tuple[str, ...], who: str | None, resource: str | None) -> output.Shown:
    """Whether somebody may do ACTION (such as release.approve), and which assignment says so or what is missing.

    ON is a workspace, or one thing in it: prod, prod/endpoint/bikes.
    """
    named, action, on = _asked(words)
    place, _, thing = on.partition("/")
    found = session.client.explain(who or named, action, place or session.flags.workspace, thing or resource)
    return output.Shown(found, text=lambda value: f"{'Yes' if value['allowed'] else 'No'}: {value['why']}")


def _asked(words: tuple[str, ...]) -> tuple[str | None, str, str]:
    """Who, action, on what. Of two words the first is the action when it looks like one and the second does not."""
    if len(words) > 3:
        raise errors.InvalidInput(
            f"'{' '.join(words)}' has too many words", cure="Write: doubleloop role explain WHO ACTION ON."
        )
    if len(words) == 3:
        return words[0], words[1], words[2]
    if len(words) == 2 and _ACTION.match(words[0]) and not _ACTION.match(words[1]):
        return None, words[0], words[1]
    return (words[0] if len(words) == 2 else None), words[-1], ""


_ASSIGNMENTS = (
    output.Column("Id", "id"),
    output.Column("Who", "principal"),
    output.Column("Role", "role"),
    output.Column("On", "kind", lambda kind: kind or "all"),
    output.Column("Workspace", "workspace", lambda name: name or "all"),
    output.Column("Resource", "resource"),
    output.Column("Until", "until", output.when),
    output.Column("Just in time", "eligible"),
)
_ACTIVATIONS = (
    output.Column("Id", "id"),
    output.Column("Who", "user"),
    output.Column("Of", "of"),
    output.Column("Status", "status"),
    output.Column("Reason", "reason"),
    output.Column("Ends", "ends_at", output.when),
    output.Column("Decided by", "decided_by"),
)
_ASKED = (
    output.Column("Id", "id"),
    output.Column("Who", "user"),
    output.Column("Of", "of"),
    output.Column("For", "seconds", lambda seconds: f"{seconds / 3600:.3g} h"),
    output.Column("Reason", "reason"),
    output.Column("Asked", "asked_at", output.when),
)


@GROUP.command("assign", cls=options.Verb)
@click.argument("principal")
@click.argument("role")
@click.option("--kind", help="On one kind of resource: workspace, secrets, images, storage, ...  [default: all]")
@click.option("--resource", metavar="KIND/NAME", help="On one thing of the workspace, such as endpoint/bikes.")
@click.option("--until", metavar="TIME", help="Ends then: 2026-12-31T00:00:00Z  [default: never]")
@click.option("--eligible", is_flag=True, help="Counts only while it is activated.")
@click.option("--needs-approval", is_flag=True, help="Another has to approve each activation.")
@click.option("--reason", default="", help="Why, for the record.")
@options.shared()
def assign(
    session: Session, principal: str, role: str, kind: str | None, resource: str | None, until: str | None,
    eligible: bool, needs_approval: bool, reason: str,
) -> Any:  # fmt: skip
    """Give PRINCIPAL (user:ada, group:science, service:jobs) a ROLE (R, C, O, ADS, KVR, ...)."""
    return session.client.access.assign(
        principal, role, kind=kind, workspace=session.flags.workspace, resource=resource, until=until,
        eligible=eligible or None, needs_approval=needs_approval or None, reason=reason,
    )  # fmt: skip


@GROUP.command("assignments", cls=options.Verb)
@options.shared(workspace=False)
def assignments(session: Session) -> output.Shown:
    """Roles that were given beside those of the personas."""
    return output.Shown(session.client.access.assignments(), _ASSIGNMENTS)


@GROUP.command("unassign", cls=options.Verb)
@click.argument("id")
@options.shared(workspace=False)
def unassign(session: Session, id: str) -> None:
    """Take the assignment ID back."""
    session.client.access.unassign(id)
    session.note(f"The assignment {id} is taken back.")


@GROUP.command("activate", cls=options.Verb)
@click.argument("of")
@click.option("--reason", required=True, help="Why, for the record.")
@click.option("--for", "length", metavar="TIME", default="1h", show_default=True, help="How long, up to 8h.")
@options.shared(workspace=False)
def activate(session: Session, of: str, reason: str, length: str) -> Any:
    """Use a right that you have just in time: OF is group:NAME or assignment:ID, see `role activations`."""
    return session.client.access.activate(of, reason, int(passwords.seconds(length)))


@GROUP.command("activations", cls=options.Verb)
@click.option("--open", "only_open", is_flag=True, help="Those that wait or run, no others.")
@options.shared(workspace=False)
def activations(session: Session, only_open: bool) -> output.Shown:
    """What was activated, and what you may activate."""
    found = session.client.access.activations(only_open)
    for each in found["eligible"]:
        session.note(f"You may activate {each}.")
    if found["waiting"]:
        session.note(f"{found['waiting']} for you to decide: doubleloop role waiting")
    return output.Shown(found["items"], _ACTIVATIONS)


@GROUP.command("waiting", cls=options.Verb)
@options.shared(workspace=False)
def waiting(session: Session) -> output.Shown:
    """Activations that wait for your yes or no, see `role approve` and `role refuse`."""
    return output.Shown(session.client.access.activations(waiting=True)["items"], _ASKED)


@GROUP.command("approve", cls=options.Verb)
@click.argument("id")
@click.option("-c", "--comment", default="", help="For the record.")
@options.shared(workspace=False)
def approve(session: Session, id: str, comment: str) -> Any:
    """Let another's activation ID begin."""
    return session.client.access.decide(id, True, comment)


@GROUP.command("refuse", cls=options.Verb)
@click.argument("id")
@click.option("-c", "--comment", default="", help="For the record.")
@options.shared(workspace=False)
def refuse(session: Session, id: str, comment: str) -> Any:
    """Refuse another's activation ID."""
    return session.client.access.decide(id, False, comment)


@GROUP.command("deactivate", cls=options.Verb)
@click.argument("id")
@options.shared(workspace=False)
def deactivate(session: Session, id: str) -> Any:
    """End the activation ID before its time."""
    return session.client.access.deactivate(id)


@GROUP.command("policies", cls=options.Verb)
@click.option("--schema", is_flag=True, help="What policies may speak of, in place of the policies.")
@options.shared(workspace=False)
def policies(session: Session, schema: bool) -> output.Shown:
    """The policies that decide, as Cedar."""
    found = session.client.access.policies()
    return output.Shown(found, text=lambda value: str(value["schema" if schema else "policies"]))


@GROUP.command("put-policy", cls=options.Verb)
@options.name("policy's name")
@click.option("-f", "--file", type=click.File(), required=True, help="Cedar; `-` reads standard input.")
@options.shared(workspace=False)
def put_policy(session: Session, name: str, file: Any) -> None:
    """Add a policy of your own, or change it. A forbid outweighs every permit."""
    session.client.access.put_policy(name, file.read())
    session.note(f"The policy {name} counts from now on.")


@GROUP.command("delete-policy", cls=options.Verb)
@options.name("policy's name")
@options.shared(workspace=False)
def delete_policy(session: Session, name: str) -> None:
    """Remove a policy of your own."""
    session.client.access.remove_policy(name)
    session.note(f"The policy {name} is gone.")
