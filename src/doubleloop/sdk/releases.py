"""Releases, their definitions and their approvals."""

from __future__ import annotations

from doubleloop.sdk import routes

# Every other status is an end.
GOING = frozenset({"running", "waiting", "rolling_out"})


class Definitions(routes.Routes):
    def put(self, document: routes.Body) -> routes.Body:
        return dict(self._post(body={"document": document}, repeatable=True))

    def list(self, limit: int | None = None) -> routes.Bodies:
        return self._list(limit=limit)

    def show(self, name: str) -> routes.Body:
        return dict(self._get(name))


class Releases(routes.Routes):
    def start(self, definition: str, model_version: str | None = None, id_: str | None = None) -> routes.Body:
        body = {
            "definition": definition,
            "id": id_ or routes.new_id("release"),
            **routes.given(model_version=model_version),
        }
        return dict(self._post(body=body, repeatable=True))

    def list(
        self, *, definition: str | None = None, model: str | None = None, status: str | None = None,
        limit: int | None = None,
    ) -> routes.Bodies:  # fmt: skip
        return self._list(definition=definition, model=model, status=status, limit=limit)

    def show(self, id_: str) -> routes.Body:
        return dict(self._get(id_))

    def evidence(self, id_: str) -> routes.Body:
        """``{"digest", "items"}``; ``digest`` is what an approval pins."""
        return dict(self._get(id_, "evidence"))

    def facts(self, id_: str, after: int = 0) -> routes.Bodies:
        """What happened to it after fact number ``after``, oldest first."""
        return self._list(id_, "facts", after=after or None)

    def approve(
        self, id_: str, evidence_digest: str, comment: str | None = None, *, break_glass: bool = False
    ) -> routes.Body:
        body = {"evidence_digest": evidence_digest, **routes.given(comment=comment, break_glass=break_glass or None)}
        return dict(self._post(id_, "approve", body=body))

    def reject(self, id_: str, evidence_digest: str, comment: str) -> routes.Body:
        return dict(self._post(id_, "reject", body={"evidence_digest": evidence_digest, "comment": comment}))

    def cancel(self, id_: str, comment: str | None = None) -> routes.Body:
        return dict(self._post(id_, "cancel", body=routes.given(comment=comment), repeatable=True))
