"""Data, environments, components and models: named, versioned, unchangeable."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from doubleloop.base import errors
from doubleloop.sdk import routes, transport

# A package that compiles may be silent for long.
BUILD_SILENCE = 3600.0


class Assets(routes.Routes):
    """One kind of asset in one workspace. ``version`` may be ``@label``."""

    def create(self, document: routes.Body, label: str | None = None) -> routes.Body:
        return dict(self._post(body={"document": document, **routes.given(label=label)}, repeatable=True))

    def list(self, *, archived: bool = False, limit: int | None = None) -> routes.Bodies:
        return self._list(archived=archived or None, limit=limit)

    def versions(self, name: str, limit: int | None = None) -> routes.Bodies:
        return self._list(name, "versions", limit=limit)

    def show(self, name: str, version: str = "@latest") -> routes.Body:
        return dict(self._get(name, "versions", version))

    def _grown(self, path: str, body: bytes, progress: Callable[[str], None], what: str) -> routes.Body:
        """The result of an answer that grows line by line. Raises the error it ended with, Unavailable."""
        request = transport.Request(
            "POST", path, body, None, {"Content-Type": "application/json"}, True, BUILD_SILENCE
        )  # fmt: skip
        with self._link.open(request) as stream:
            for line in stream:
                item: dict[str, Any] = json.loads(line)
                if "result" in item:
                    return dict(item["result"])
                if "error" in item:
                    raise errors.from_dict(item)
                progress(str(item.get("progress", "")))
        raise errors.Unavailable(f"{what} broke off", cure="Run the command again; what was made is kept.")

    def set_label(self, name: str, label: str, version: str) -> routes.Body:
        return dict(self._put(name, "labels", label, body={"version": version}))

    def archive(self, name: str, version: str) -> routes.Body:
        return dict(self._post(name, "versions", version, "archive", repeatable=True))

    def restore(self, name: str, version: str) -> routes.Body:
        return dict(self._post(name, "versions", version, "restore", repeatable=True))


class Components(Assets):
    """``catalog``: of the training components that are shipped with the server."""

    def list(self, *, archived: bool = False, limit: int | None = None, catalog: bool = False) -> routes.Bodies:
        return self._list(archived=archived or None, catalog=catalog or None, limit=limit)

    def show(self, name: str, version: str = "@latest", catalog: bool = False) -> routes.Body:
        return dict(self._get(name, "versions", version, catalog=catalog or None))


class Data(Assets):
    def profile(
        self, name: str, version: str = "@latest", *, target: str | None = None, against: str | None = None
    ) -> routes.Body:
        """What the version's table holds; ``against`` is another version of it, ``@LABEL``, or ``NAME:VERSION``."""
        return dict(self._get(name, "versions", version, "profile", target=target, against=against))

    def look(
        self, name: str, version: str = "@latest", *, target: str | None = None, against: str | None = None,
        progress: Callable[[str], None],
    ) -> routes.Body:  # fmt: skip
        """As ``profile``, with progress; a caller who goes away ends the look. Raises as the look, Unavailable."""
        body = json.dumps(routes.given(target=target, against=against)).encode()
        return self._grown(self._path(name, "versions", version, "profile"), body, progress, "The look at the table")


class Environments(Assets):
    def build(self, name: str, version: str, progress: Callable[[str], None]) -> routes.Body:
        """Build now; ``progress`` gets each line. Raises the error the build ended with, Unavailable."""
        return self._grown(self._path(name, "versions", version, "build"), b"{}", progress, "The build")


class Contracts(routes.Documents):
    """Of data assets, by their name."""

    def checks(self, name: str) -> routes.Bodies:
        """How versions kept it, newest first."""
        return self._list(name, "checks")
