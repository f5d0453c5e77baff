"""Rights that wait for a yes are on the first page of who may say it, with the buttons to say it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from console_scene import PASSWORD, Browser

from doubleloop.console import pages, requests
from doubleloop.identity import activations
from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities
from doubleloop.identity.actions import Action
from doubleloop.secrets.local import FileKeys
from doubleloop.secrets.ports import Keys
from doubleloop.settings.model import Settings
from doubleloop.workspaces import queries as workspaces


def test_who_may_decide_sees_what_is_asked_and_decides_it_there(house: Any) -> None:
    house.ports[Keys] = FileKeys(house.home / "secret.key")
    support = identities.Persona.PLATFORM_SUPPORT
    with house.write("service:setup", None) as ctx:
        identity.put_group(ctx, identities.Group("night", support, ("ada",), ("prod",), True, needs_approval=True))
        for user in ("ada", "linus"):
            identity.set_password(ctx, user, PASSWORD)
    asked = []
    for reason in ("ticket <4711>", "ticket 4712"):
        with house.write("ada", None) as ctx:
            asked.append(activations.activate(ctx, "group:night", reason, timedelta(minutes=90)))
        app = pages.create(house.contexts, house.ports[Settings])
        ada, linus = Browser(app, "ada"), Browser(app, "linus")
        page = linus.get("/").text
        assert "ada asks for group:night" in page and "for 1.5 h" in page and "Waiting for a decision" in page
        assert "ticket &lt;4711&gt;" in page or reason == "ticket 4712"
        assert "Waiting for a decision" not in ada.get("/").text
        path = f"/activations/{asked[-1].id}/decision"
        assert ada.send_form("/audit", path, decision="approve").status_code == 403
        assert linus.send_form("/", path, decision="maybe").status_code == 400
        decision = "reject" if reason == "ticket 4712" else "approve"
        done = linus.send_form("/", path, decision=decision)
        assert (done.status_code, done.headers["location"]) == (303, "/")
        assert "Waiting for a decision" not in linus.get("/").text
        assert linus.send_form("/", path, decision="approve").status_code == 409
        with house.write("ada", None) as ctx:
            found = {each.id: each for each in activations.list_(ctx)}[asked[-1].id]
            assert found.status == ("active" if decision == "approve" else "refused")
            if found.status == "active":
                activations.end(ctx, found.id)


def test_the_pages_of_alerts_look_wherever_one_may_read_them(house: Any) -> None:
    """A data scientist is told of production's alerts, and may read them, without reading the workspace itself."""
    with house.read("ada", None) as ctx:
        assert "prod" in requests.places(ctx, Action.MONITOR_READ)
        assert "prod" not in [each.name for each in workspaces.visible(ctx)]
        assert "registry" not in requests.places(ctx, Action.DATA_READ)
