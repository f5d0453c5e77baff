"""A group of routes, and listings of several pages as one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from doubleloop.base import ids
from doubleloop.sdk import transport

Body = dict[str, Any]
Bodies = list[Body]


class Routes:
    """Routes below ``base`` (unencoded path parts)."""

    def __init__(self, link: transport.Transport, *base: str) -> None:
        self._link = link
        self._base = base

    def _path(self, *parts: str) -> str:
        return transport.path(*self._base, *parts)

    def _get(self, *parts: str, **params: Any) -> Any:
        return self._link.json("GET", self._path(*parts), params=params)

    def _post(self, *parts: str, body: Body | None = None, repeatable: bool = False) -> Any:
        return self._link.json("POST", self._path(*parts), body or {}, repeatable=repeatable)

    def _put(self, *parts: str, body: Body) -> Any:
        return self._link.json("PUT", self._path(*parts), body)

    def _delete(self, *parts: str) -> None:
        self._link.json("DELETE", self._path(*parts))

    def _list(self, *parts: str, limit: int | None = None, **params: Any) -> Bodies:
        """All items, or the first ``limit``."""
        items: list[Body] = []
        for item in self._pages(*parts, limit=limit, **params):
            items.append(item)
            if limit is not None and len(items) >= limit:
                break
        return items

    def _pages(self, *parts: str, limit: int | None = None, **params: Any) -> Iterator[Body]:
        after = params.pop("after", None)
        size = min(limit, 1000) if limit else None
        while True:
            page = self._get(*parts, **params, after=after, limit=size)
            yield from page["items"]
            after = page.get("next")
            if not after:
                return


class Documents(Routes):
    """Things that a file describes, each kept under its name."""

    def put(self, document: Body) -> Body:
        """Make it, or make it what the file says."""
        return dict(self._post(body={"document": document}, repeatable=True))

    def list(self, limit: int | None = None) -> Bodies:
        return self._list(limit=limit)

    def show(self, name: str) -> Body:
        return dict(self._get(name))

    def delete(self, name: str) -> None:
        self._delete(name)


def given(**fields: Any) -> Body:
    """The fields that are not None."""
    return {key: value for key, value in fields.items() if value is not None}


def new_id(prefix: str) -> str:
    """An identifier made here, so that asking again after a broken connection starts nothing twice."""
    return ids.new_id(prefix)
