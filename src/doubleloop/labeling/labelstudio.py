"""The door to a Label Studio server: its HTTP API (https://api.labelstud.io), under the outbound guard."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from xml.sax.saxutils import quoteattr

import httpx

from doubleloop.base import errors
from doubleloop.frames import pictures
from doubleloop.labeling import model, tasks
from doubleloop.outbound import commands as outbound
from doubleloop.specs.kinds.labeling import OF_IMAGES, Labeling, keys

SECONDS = 60.0
# Tasks that go at once, and that come at once.
BATCH = 200
# What Label Studio takes as a project's title.
TITLE = 50
ACTIONS = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED")


def config(spec: Labeling) -> str:
    """The labelling interface (https://labelstud.io/tags) of a project's task and labels."""
    kind = "image" if spec.task in OF_IMAGES else "text"
    chosen = {name: key for key, name in keys(spec).items()}

    def options(tag: str) -> str:
        found = ""
        for each in spec.labels:
            hotkey = f" hotkey={quoteattr(chosen[each.name])}" if each.name in chosen else ""
            color = f" background={quoteattr(each.color)}" if each.color else ""
            found += f"<{tag} value={quoteattr(each.name)}{color}{hotkey}/>"
        return found

    shown = f'<{kind.title()} name="{kind}" value="${kind}"' + (' granularity="symbol"/>' if kind == "text" else "/>")
    if spec.task.endswith("classification"):
        asked = f'<Choices name="label" toName="{kind}" choice="single" required="true">{options("Choice")}</Choices>'
    elif spec.task == "ranking":
        listed = f'<List name="{tasks.OPTIONS}" value="${tasks.OPTIONS}" title="The best first"/>'
        return f'<View>{shown}{listed}<Ranker name="label" toName="{tasks.OPTIONS}"/></View>'
    elif spec.task == "entity_spans":
        asked = f'<Labels name="label" toName="text">{options("Label")}</Labels>'
    else:
        asked = f'<RectangleLabels name="label" toName="image">{options("Label")}</RectangleLabels>'
        asked += f'<PolygonLabels name="{tasks.OUTLINE}" toName="image">{options("Label")}</PolygonLabels>'
    return f"<View>{asked}{shown}</View>"


def task(spec: Labeling, item: model.Item, content: bytes | None) -> dict[str, Any]:
    """A task that shows an item, with the model's proposal. ``content``: the bytes of an image, which go along."""
    shown, size = item.content, None
    if content is not None:
        shown = f"data:{pictures.media_type(content)};base64,{base64.b64encode(content).decode()}"
        size = pictures.size(content)
    found: dict[str, Any] = {"data": {**tasks.task(spec, item, shown)["data"], tasks.ITEM: item.number}}
    if item.prelabel is not None:
        result = tasks.result(item, item.prelabel, size)
        found["predictions"] = [{"model_version": "proposed", "result": result}]
    return found


class Server:
    """``token``: a personal access token, or one of the old kind. ``allowed``: addresses beside the internet.

    Every method raises Unavailable for what may go better later, NotPermitted for a token that is refused, Failed else.
    """

    def __init__(self, url: str, token: str, allowed: Sequence[str]) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._allowed = allowed
        self._headers: dict[str, str] | None = None

    @contextmanager
    def _client(self) -> Iterator[httpx.Client]:
        try:
            with outbound.guarded(self._allowed, self._url), httpx.Client(timeout=SECONDS) as client:
                yield client
        except httpx.HTTPError as error:
            raise errors.Unavailable(f"Label Studio at {self._url} does not answer: {type(error).__name__}") from None

    def _call(self, method: str, path: str, **what: Any) -> Any:
        with self._client() as client:
            if self._headers is None:
                self._headers = self._authorization(client)
            answer = client.request(method, f"{self._url}/api/{path}", headers=self._headers, **what)
        return self._body(answer)

    def _authorization(self, client: httpx.Client) -> dict[str, str]:
        """A personal access token is a JSON Web Token, and is exchanged for one that is good for minutes."""
        if self._token.count(".") != 2:
            return {"Authorization": f"Token {self._token}"}
        answer = client.post(f"{self._url}/api/token/refresh", json={"refresh": self._token})
        return {"Authorization": f"Bearer {self._body(answer)['access']}"}

    def _body(self, answer: httpx.Response) -> Any:
        status = answer.status_code
        if status >= 500 or status in (408, 425, 429):
            raise errors.Unavailable(f"Label Studio at {self._url} answered {status}")
        if status in (401, 403):
            raise errors.NotPermitted(
                f"Label Studio at {self._url} refuses the token", cure="Put another one into the secret."
            )
        if status >= 400:
            raise errors.Failed(f"Label Studio at {self._url} answered {status}: {answer.text[:300]}")
        try:
            return answer.json() if answer.content else None
        except ValueError:
            raise errors.Failed(f"{self._url} answered what is no JSON: is it Label Studio?") from None

    def project(self, name: str, mark: str, spec: Labeling) -> int:
        """The number of the project whose description ends in ``mark``; made where there is none."""
        for each in self._pages("projects", "results"):
            if str(each.get("description") or "").endswith(mark):
                return int(each["id"])
        body = {
            "title": name[:TITLE].ljust(3, "."), "description": f"{spec.description or ''} {mark}".strip(),
            "label_config": config(spec), "expert_instruction": spec.guidelines or "",
            "show_instruction": bool(spec.guidelines), "maximum_annotations": spec.annotators.per_item,
            "show_collab_predictions": True, "model_version": "proposed",
        }  # fmt: skip
        return int(self._call("POST", "projects/", json=body)["id"])

    def _pages(self, path: str, name: str, **params: Any) -> Iterator[dict[str, Any]]:
        page, seen = 1, 0
        while True:
            found = self._call("GET", path, params={**params, "page": page, "page_size": BATCH})
            yield from found[name]
            seen += len(found[name])
            if not found[name] or seen >= int(found.get("count") or found.get("total") or 0):
                return
            page += 1

    def items(self, project: int) -> set[int]:
        """Numbers of the items that have a task there."""
        found = self._pages("tasks/", "tasks", project=project, fields="task_only", include="id,data")
        return {int(each["data"][tasks.ITEM]) for each in found if tasks.ITEM in each.get("data", {})}

    def add(self, project: int, wanted: Sequence[dict[str, Any]]) -> None:
        self._call("POST", f"projects/{project}/import", json=list(wanted))

    def annotated(self, project: int) -> list[dict[str, Any]]:
        """The tasks of which something was said."""
        return list(self._call("GET", f"projects/{project}/export", params={"exportType": "JSON"}))

    def people(self) -> dict[int, str]:
        """Number → address; empty for a token that may not know them."""
        try:
            return {int(each["id"]): str(each.get("email") or "") for each in self._call("GET", "users/")}
        except (errors.NotPermitted, errors.Failed):
            return {}

    def call_back(self, project: int, url: str, token: str) -> None:
        """Have ``url`` called when something is said, with an API token of ours; once."""
        known = self._call("GET", "webhooks/", params={"project": project})
        if any(each["url"] == url for each in known):
            return
        body = {
            "project": project, "url": url, "send_payload": False, "send_for_all_actions": False,
            "headers": {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}, "is_active": True,
            "actions": list(ACTIONS),
        }  # fmt: skip
        self._call("POST", "webhooks/", json=body)
