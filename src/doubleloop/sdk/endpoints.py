"""Online endpoints and their deployments."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from doubleloop.base import errors
from doubleloop.sdk import events, routes, transport

SETTLED = frozenset({"ready", "failed", "deleted", "replaced"})
# A first request may wait for a model to load.
INVOKE_SILENCE = 300.0


class Endpoints(routes.Routes):
    def put(self, document: routes.Body, local: bool = False) -> routes.Body:
        """``local``: an endpoint of this machine alone, which asks for no key."""
        body = {"document": document, **({"local": True} if local else {})}
        return dict(self._post(body=body, repeatable=True))

    def list(self, limit: int | None = None) -> routes.Bodies:
        return self._list(limit=limit)

    def show(self, name: str) -> routes.Body:
        return dict(self._get(name))

    def delete(self, name: str) -> None:
        self._delete(name)

    def set_traffic(
        self, name: str, traffic: dict[str, int], mirror: dict[str, int] | None = None, reason: str | None = None
    ) -> routes.Body:
        """Shares of requests in whole percent by deployment."""
        body = {"traffic": traffic, **routes.given(mirror_traffic=mirror, reason=reason)}
        return dict(self._put(name, "traffic", body=body))

    def keys(self, name: str) -> routes.Body:
        return dict(self._get(name, "keys"))

    def regenerate_key(self, name: str, key_type: str) -> routes.Body:
        return dict(self._post(name, "keys", body={"key_type": key_type}))

    def metrics(self, name: str, deployment: str | None = None) -> routes.Body:
        return dict(self._get(name, "metrics", deployment=deployment))

    def slo(self, name: str) -> routes.Body:
        """The endpoint's objectives: compliance, error budgets, burn rates."""
        return dict(self._get(name, "slo"))

    def invoke(self, name: str, content: bytes, deployment: str | None = None) -> transport.Answer:
        """The gateway's own answer, whatever its status."""
        return self._link.send(self._asking(name, content, deployment), raw=True)

    def stream(
        self, name: str, content: bytes, deployment: str | None = None,
        head: Callable[[Mapping[str, str]], None] = lambda headers: None,
    ) -> Iterator[Any]:  # fmt: skip
        """The answer's pieces as the model makes them: texts, or objects. Raises the gateway's refusal, and what ends
        the answer early; to close it before its end stops the model. ``head`` is told the answer's headers."""
        request = self._asking(name, content, deployment, Accept=events.MEDIA)
        with self._link.open(request, raw=True) as response:
            headers = {key.lower(): value for key, value in response.getheaders()}
            if response.status >= 400:
                refuse(transport.Answer(response.status, headers, response.read()))
            head(headers)
            yield from events.pieces(response)

    def _asking(self, name: str, content: bytes, deployment: str | None, **more: str) -> transport.Request:
        headers = {"Content-Type": "application/json", **more}
        if deployment:
            headers["azureml-model-deployment"] = deployment
        return transport.Request("POST", self._path(name, "invoke"), content, None, headers, False, INVOKE_SILENCE)

    def create_deployment(self, endpoint: str, document: routes.Body, id_: str | None = None) -> routes.Body:
        """Begin a deployment; look at it until its status is in ``SETTLED``."""
        body = {"document": document, "id": id_ or routes.new_id("deployment")}
        return dict(self._post(endpoint, "deployments", body=body, repeatable=True))

    def mirror(self, name: str, deployment: str | None = None) -> routes.Body:
        """How the answers to mirrored requests compare with those that callers got."""
        return dict(self._get(name, "mirror", deployment=deployment))

    def deployments(self, endpoint: str, limit: int | None = None) -> routes.Bodies:
        return self._list(endpoint, "deployments", limit=limit)

    def deployment(self, endpoint: str, name: str) -> routes.Body:
        return dict(self._get(endpoint, "deployments", name))

    def delete_deployment(self, endpoint: str, name: str) -> None:
        self._delete(endpoint, "deployments", name)

    def logs(self, endpoint: str, name: str, lines: int = 50) -> str:
        place = self._path(endpoint, "deployments", name, "logs") + transport.query({"lines": lines})
        return self._link.send(transport.Request("GET", place, repeatable=True)).body.decode(errors="replace")


def refuse(answer: transport.Answer) -> None:
    """The gateway's refusal, or the model's own, as an error with its words."""
    if answer.status < 400:
        return
    try:
        body = json.loads(answer.body)
    except ValueError:
        body = None
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        raise errors.from_dict(body)
    text = answer.body[:2000].decode(errors="replace").strip()
    kind = next((kind for kind in errors.BY_CODE.values() if kind.status == answer.status), None)
    chosen = kind or (errors.InvalidInput if answer.status < 500 else errors.Failed)
    id_ = answer.headers.get("x-request-id")
    raise chosen(f"The endpoint answered {answer.status}: {text}", cure=f"The request id is {id_}." if id_ else "")
