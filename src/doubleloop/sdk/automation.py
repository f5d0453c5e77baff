"""Schedules, rules and monitors: what happens by itself."""

from __future__ import annotations

from doubleloop.sdk import routes

ENDED = frozenset({"completed", "failed"})


class Schedules(routes.Documents):
    def enable(self, name: str) -> routes.Body:
        return dict(self._post(name, "enable", repeatable=True))

    def disable(self, name: str) -> routes.Body:
        return dict(self._post(name, "disable", repeatable=True))


class Rules(routes.Documents):
    def dry_run(self, name: str, since: str | None = None, document: routes.Body | None = None) -> routes.Body:
        """What the rule (as it is kept, or as the document says) would have done since (``P30D``, or a time)."""
        return dict(self._post(name, "dry-run", body=routes.given(since=since, document=document), repeatable=True))


class Monitors(routes.Documents):
    def run_now(self, name: str, as_of: str | None = None, id_: str | None = None) -> routes.Body:
        """Begin a run that looks back from ``as_of`` (default: now); look at it until it has ended."""
        body = {"id": id_ or routes.new_id("monitor-run"), **routes.given(as_of=as_of)}
        return dict(self._post(name, "runs", body=body, repeatable=True))

    def runs(self, name: str, limit: int | None = None) -> routes.Bodies:
        return self._list(name, "runs", limit=limit)

    def run(self, name: str, id_: str) -> routes.Body:
        return dict(self._get(name, "runs", id_))

    def series(
        self, name: str, signal: str | None = None, metric: str | None = None, column: str | None = None
    ) -> routes.Bodies:
        return self._list(name, "series", signal=signal, metric=metric, column=column)

    def alerts(self, name: str, *, open_: bool = False, limit: int | None = None) -> routes.Bodies:
        return self._list(name, "alerts", open=open_ or None, limit=limit)


class Alerts(routes.Routes):
    """Every change answers with the alert as it is then."""

    def list(
        self, monitor: str | None = None, state: str | None = None, *, open_: bool = False, limit: int | None = None
    ) -> routes.Bodies:
        """``state``: one or several with commas between; ``open_``: all that are not resolved."""
        return self._list(monitor=monitor, state=state, open=open_ or None, limit=limit)

    def show(self, id_: str) -> routes.Body:
        """With its ``history``."""
        return dict(self._get(id_))

    def label(self, id_: str, project: str, task: str | None = None, workspace: str | None = None) -> routes.Body:
        """A labelling project on the examples that the alert kept: ``project``, ``workspace``, ``items``."""
        body = {"project": project, **routes.given(task=task, workspace=workspace)}
        return dict(self._post(id_, "label", body=body, repeatable=True))

    def acknowledge(self, id_: str, comment: str = "") -> routes.Body:
        return dict(self._post(id_, "acknowledge", body={"comment": comment}, repeatable=True))

    def silence(
        self, id_: str, *, until: str | None = None, length: str | None = None, comment: str = ""
    ) -> routes.Body:
        """Until a time (ISO 8601) or for a length (``2h``, ``P1D``): one of both."""
        body = {"comment": comment, **routes.given(until=until), **({"for": length} if length else {})}
        return dict(self._post(id_, "silence", body=body, repeatable=True))

    def resolve(self, id_: str, comment: str = "") -> routes.Body:
        return dict(self._post(id_, "resolve", body={"comment": comment}, repeatable=True))

    def reopen(self, id_: str, comment: str = "") -> routes.Body:
        return dict(self._post(id_, "reopen", body={"comment": comment}, repeatable=True))
