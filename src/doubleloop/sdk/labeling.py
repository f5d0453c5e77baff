"""Labelling projects: ``client.workspace("dev").labeling.next("tickets")``."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from doubleloop.sdk import blobs, routes, transport


class Labeling(routes.Routes):
    def create(self, document: routes.Body) -> routes.Body:
        return dict(self._post(body={"document": document}, repeatable=True))

    def list(self, limit: int | None = None) -> routes.Bodies:
        return self._list(limit=limit)

    def show(self, name: str) -> routes.Body:
        """With ``states``, ``people``, ``labels`` and ``agreement``."""
        return dict(self._get(name))

    def close(self, name: str) -> routes.Body:
        return dict(self._post(name, "close", repeatable=True))

    def delete(self, name: str) -> None:
        self._delete(name)

    def export(self, name: str, format_: str = "csv", partial: bool = False) -> routes.Body:
        """The new data version. ``partial``: although items still wait."""
        return dict(self._post(name, "export", body={"format": format_, "partial": partial}))

    def import_(
        self, name: str, data: str | Path, format_: str | None = None, annotator: str | None = None,
        proposals: bool = False,
    ) -> routes.Body:  # fmt: skip
        """Labels of ``data`` (a file or folder, or ``azureml:`` data): all of them, or none and an error.

        As ``annotator``'s labels (default: mine), or as a model's ``proposals``. Returns numbers: ``labels``,
        ``unchanged``, ``left``.
        """
        reference = str(data)
        if not reference.startswith("azureml:"):
            # Imported when there is something to send: what reads folders brings the specs along.
            uploads = importlib.import_module("doubleloop.sdk.uploads")
            (sent,) = uploads.send(blobs.Blobs(self._link), [uploads.Want(Path(data))])
            reference = sent.reference
        body = {"data": reference, "proposals": proposals, **routes.given(format=format_, annotator=annotator)}
        return dict(self._post(name, "import", body=body, repeatable=True))

    def sync(self, name: str) -> None:
        """Have the Label Studio server asked for labels as soon as possible; what came is in ``tool`` of ``show``."""
        self._post(name, "sync", repeatable=True)

    def train(self, name: str, input_: str | None = None) -> routes.Body:
        """The job that trains on the newest data version; ``input_``: which of its inputs gets it."""
        return dict(self._post(name, "train", body=routes.given(input=input_), repeatable=True))

    def next(self, name: str) -> routes.Body | None:
        """The item that is mine now, held for a time; None when nothing is left for me."""
        found: routes.Body | None = self._post(name, "next", repeatable=True).get("item")
        return found

    def label(self, name: str, item: int, value: Any) -> routes.Body:
        """``value``: a label; a list of spans or shapes; the labels in their order."""
        return dict(self._post(name, "items", str(item), "label", body={"value": value}))

    def skip(self, name: str, item: int) -> routes.Body:
        return dict(self._post(name, "items", str(item), "skip"))

    def undo(self, name: str, item: int | None = None) -> routes.Body:
        """Take back what I said last, or of one item; it is mine again."""
        return dict(self._post(name, "undo", body=routes.given(item=item)))

    def review(self, name: str, item: int, value: Any = None, leave_out: bool = False) -> routes.Body:
        """``value`` None: what was said is right."""
        return dict(self._post(name, "items", str(item), "review", body={"value": value, "leave_out": leave_out}))

    def items(self, name: str, state: str | None = None, limit: int | None = None) -> routes.Bodies:
        return self._list(name, "items", state=state, limit=limit)

    def item(self, name: str, item: int) -> routes.Body:
        """With all that was ``said`` of it, oldest first."""
        return dict(self._get(name, "items", str(item)))

    def content(self, name: str, item: int) -> bytes:
        """What is to be looked at: the file of an image, or a text in UTF-8."""
        place = self._path(name, "items", str(item), "content")
        return self._link.send(transport.Request("GET", place, repeatable=True)).body
