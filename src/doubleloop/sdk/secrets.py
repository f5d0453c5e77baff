"""Secrets of one workspace."""

from __future__ import annotations

from doubleloop.sdk import routes


class Secrets(routes.Routes):
    def list(self) -> routes.Bodies:
        return self._list()

    def set(self, name: str, value: str, description: str | None = None) -> routes.Body:
        """The next version."""
        return dict(self._post(body={"name": name, "value": value, **routes.given(description=description)}))

    def show(self, name: str) -> routes.Body:
        """Versions and who wrote them, without a value."""
        return dict(self._get(name))

    def reveal(self, name: str, version: int | None = None) -> routes.Body:
        """``{"name", "version", "value"}``; on record."""
        return dict(self._post(name, "reveal", body=routes.given(version=version)))

    def delete(self, name: str) -> None:
        self._delete(name)

    def renew(self) -> routes.Body:
        """Lock every value with the newest key: ``{"renewed": how many}``."""
        return dict(self._post("renew", repeatable=True))
