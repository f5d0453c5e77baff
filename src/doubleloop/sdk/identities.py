"""People, processes and what they hold."""

from __future__ import annotations

from typing import Any

from doubleloop.sdk import routes


class Users(routes.Routes):
    def list(self) -> routes.Bodies:
        return self._list()

    def create(
        self, name: str, *, display_name: str | None = None, password: str | None = None, is_admin: bool = False
    ) -> routes.Body:
        fields = routes.given(display_name=display_name, password=password, is_admin=is_admin or None)
        return dict(self._post(body={"name": name, **fields}))

    def set_password(self, name: str, password: str) -> None:
        self._put(name, "password", body={"password": password})

    def disable(self, name: str) -> routes.Body:
        return dict(self._post(name, "disable", repeatable=True))

    def enable(self, name: str) -> routes.Body:
        return dict(self._post(name, "enable", repeatable=True))

    def link(self, name: str, subject: str, issuer: str | None = None) -> None:
        """Who that is at the OpenID Connect provider (the one that is set, unless ``issuer`` is given)."""
        self._put(name, "identity", body={"subject": subject, **routes.given(issuer=issuer)})

    def unlink(self, name: str) -> None:
        self._delete(name, "identity")

    def revoke_tokens(self, name: str) -> routes.Body:
        """``{"revoked": how many}``: tokens and logins, of a user or of ``service:NAME``."""
        return dict(self._link.json("DELETE", self._path(name, "tokens")))


class Principals(routes.Routes):
    """Processes: the system's own, and those that people make."""

    def list(self) -> routes.Bodies:
        return self._list()

    def create(self, name: str, **fields: Any) -> routes.Body:
        """``description``, ``workspace``, ``owner``, ``role``, ``persona`` as in the API."""
        return dict(self._post(body={"name": name, **routes.given(**fields)}))

    def show(self, name: str) -> routes.Body:
        return dict(self._get(name))

    def disable(self, name: str) -> routes.Body:
        return dict(self._post(name, "disable", repeatable=True))

    def enable(self, name: str) -> routes.Body:
        return dict(self._post(name, "enable", repeatable=True))

    def delete(self, name: str) -> None:
        self._delete(name)
