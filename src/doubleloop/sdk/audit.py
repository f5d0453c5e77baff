"""The record of a server: read, proved, signed, exported, archived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from doubleloop.sdk import routes, transport

CHUNK = 1 << 16


class Audit(routes.Routes):
    """``asked`` are the filters of the API: ``type``, ``subject``, ``workspace``, ``actor``, ``action``, ``outcome``,
    ``since``, ``until``."""

    def list(self, *, limit: int | None = None, **asked: Any) -> routes.Bodies:
        return self._list(limit=limit, **asked)

    def head(self) -> routes.Body:
        return dict(self._get("head"))

    def key(self) -> routes.Body:
        """``{"id", "public"}``: what exports and checkpoints are signed by."""
        return dict(self._get("key"))

    def verify(self, checkpoints: Sequence[Mapping[str, Any]] = ()) -> routes.Body:
        """``checkpoints``: some that were kept elsewhere."""
        if not checkpoints:
            return dict(self._get("verify"))
        return dict(self._post("verify", body={"checkpoints": list(checkpoints)}, repeatable=True))

    def checkpoint(self) -> routes.Body:
        return dict(self._post("checkpoints", repeatable=True))

    def export(self, format_: str = "jsonl", **asked: Any) -> Iterator[bytes]:
        """The bytes of the file, piece by piece."""
        target = self._path("export") + transport.query({**asked, "format": format_})
        with self._link.open(transport.Request("GET", target)) as answer:
            while piece := answer.read(CHUNK):
                yield piece

    def archives(self) -> routes.Bodies:
        return self._list("archives")

    def archive(self, older_than: float) -> routes.Body | None:
        """``older_than`` in seconds; None when nothing is that old."""
        return dict(self._post("archives", body={"older_than": older_than}))["archived"]
