"""Jobs: submitting, looking, reading logs, cancelling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from doubleloop.sdk import routes, transport

ENDED = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True)
class LogPart:
    """Bytes of a log; the next begin at ``next_offset``; ``end`` when no more will come."""

    content: bytes
    next_offset: int
    end: bool


class Jobs(routes.Routes):
    def submit(
        self, document: routes.Body, *, id_: str | None = None, experiment: str | None = None,
        force_rerun: bool | None = None,
    ) -> routes.Body:  # fmt: skip
        """Start a job. The same ``id_`` again gives the job that it started."""
        body = {
            "document": document,
            "id": id_ or routes.new_id("job"),
            **routes.given(experiment=experiment, force_rerun=force_rerun),
        }
        return dict(self._post(body=body, repeatable=True))

    def validate(self, document: routes.Body) -> routes.Body:
        return dict(self._post("validate", body={"document": document}, repeatable=True))

    def list(
        self, *, status: str | None = None, experiment: str | None = None, created_by: str | None = None,
        archived: str | None = None, limit: int | None = None,
    ) -> routes.Bodies:  # fmt: skip
        """``archived``: ``no`` (the default), ``yes`` for those too, ``only`` for nothing else."""
        return self._list(status=status, experiment=experiment, created_by=created_by, archived=archived, limit=limit)

    def update(self, id_: str, **changes: Any) -> routes.Body:
        """Change ``display_name``, ``description``, ``experiment`` or ``tags`` (all of them)."""
        return dict(self._put(id_, body=changes))

    def archive(self, id_: str) -> routes.Body:
        return dict(self._post(id_, "archive", repeatable=True))

    def restore(self, id_: str) -> routes.Body:
        return dict(self._post(id_, "restore", repeatable=True))

    def show(self, id_: str) -> routes.Body:
        return dict(self._get(id_))

    def steps(self, id_: str) -> routes.Bodies:
        return self._list(id_, "steps")

    def log(self, id_: str, step: str, offset: int = 0) -> LogPart:
        """What the step's log holds from byte ``offset`` on, at most 1 MiB of it."""
        place = self._path(id_, "steps", step, "log") + transport.query({"offset": offset})
        answer = self._link.send(transport.Request("GET", place, repeatable=True))
        following = int(answer.headers.get("x-next-offset", offset + len(answer.body)))
        return LogPart(answer.body, following, answer.headers.get("x-end", "false") == "true")

    def cancel(self, id_: str) -> routes.Body:
        return dict(self._post(id_, "cancel", repeatable=True))

    def retry(self, id_: str) -> routes.Body:
        """Run the steps again that did not complete. Raises Conflict while it runs, or when all have."""
        return dict(self._post(id_, "retry"))
