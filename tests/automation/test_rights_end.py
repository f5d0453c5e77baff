"""Rights just in time end by themselves: also when their time was over while nobody worked, and on record once."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

from doubleloop.automation import loop
from doubleloop.events import queries as facts
from doubleloop.identity import activations
from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities
from doubleloop.identity.actions import Action


def test_what_was_over_while_the_worker_was_down_is_ended_once_at_its_next_start(house: Any) -> None:
    group = identities.Group("support", identities.Persona.PLATFORM_SUPPORT, ("ada",), ("prod",), just_in_time=True)
    with house.write("service:setup", None) as ctx:
        identity.put_group(ctx, group)
    with house.write("ada", None) as ctx:
        asked = activations.activate(ctx, "group:support", "ticket 4711", timedelta(hours=1))
    with house.read("ada", "prod") as ctx:
        assert identity.decide(ctx, Action.WORKSPACE_WRITE).allowed
    # The worker that was there is gone without a word; what it knew is in the database alone.
    assert asked.ends_at is not None
    late = asked.ends_at + timedelta(seconds=1)
    again = dataclasses.replace(house.contexts, now=lambda: late)
    with again.read(house.actor("ada"), "prod") as ctx:
        assert not identity.decide(ctx, Action.WORKSPACE_WRITE).allowed  # before anybody has noted it
    for _ in range(2):  # two starts, as after a kill in between
        watching = loop.Loop(again, 0.01)
        while watching.tick():
            pass
    with again.read(house.actor("ada"), None) as ctx:
        ended = facts.facts(ctx, types=["activation.ended"])
    assert [(each.subject, each.data["why"]) for each in ended] == [(f"activation:{asked.id}", "its time is over")]
