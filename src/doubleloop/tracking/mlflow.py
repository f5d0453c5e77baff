"""The port over MLflow's REST API, through the unix socket that only this user can open."""

from __future__ import annotations

import contextlib
import copy
import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from doubleloop.base import errors, ids, sockets
from doubleloop.tracking import ports, rules

API = "/api/2.0/mlflow/"
PLACES = "/api/3.0/mlflow/workspaces"
# Says in which workspace MLflow looks; a caller's own never reaches it.
HEADER = "x-mlflow-workspace"
PAGE = 200
HISTORY = 10_000
# Model files that did not come from a run: their runs, and the tag by which equal files are found again.
UPLOADS = "model-create"
KEY = "doubleloop.key"
# What a version shall be called (MLflow's server tries to number it so), and what MLflow has no place for.
VERSION, PROPERTIES = "doubleloop.version", "doubleloop.properties"


class Mlflow:
    """``socket`` is where the server listens, ``artifacts`` the folder it keeps ``mlflow-artifacts:/`` in.

    MLflow has workspaces of its own, one for each of ours (``rules.place``): what it looks for, it looks for in one of
    them alone, so that nothing of another is in an answer. They are made when they are first needed.
    """

    def __init__(self, socket: Path, artifacts: Path, timeout: float = 60.0) -> None:
        self._artifacts = artifacts
        # No TLS is spoken on the socket: the authorities' certificates, which take 30 ms to read, are left.
        transport = httpx.HTTPTransport(uds=sockets.address(socket), verify=False)
        self._http = httpx.Client(transport=transport, base_url="http://localhost", timeout=timeout)
        self._place = rules.place(None)
        self._made: set[str] = set()

    def close(self) -> None:
        self._http.close()

    def of(self, workspace: str | None) -> Mlflow:
        return self._in(rules.place(workspace))

    def _in(self, place: str) -> Mlflow:
        other = copy.copy(self)  # the connection, and the note of what is made, are the same
        other._place = place
        return other

    def prepare(self) -> str:
        if self._place not in self._made:
            if self._send("GET", f"{PLACES}/{self._place}").status_code == 404:
                answer = self._send("POST", PLACES, {"name": self._place})
                if answer.status_code >= 400 and "already exists" not in _message(answer):  # by another process
                    raise errors.Unavailable(f"MLflow has no workspace {self._place}: {_message(answer)}")
            self._made.add(self._place)
        return self._place

    def _everywhere(self) -> list[Mlflow]:
        """Each workspace that was made."""
        found = _checked(self._send("GET", PLACES), PLACES).get("workspaces", [])
        return [self._in(each["name"]) for each in found if each["name"] != rules.UNUSED]

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        return _checked(self._send(method, API + path, arguments, {HEADER: self.prepare()}), path)

    def _send(
        self, method: str, path: str, arguments: Mapping[str, Any] | None = None, headers: Any = None
    ) -> httpx.Response:
        try:
            if method == "GET":
                return self._http.get(path, params=arguments, headers=headers)
            return self._http.request(method, path, json=arguments, headers=headers)
        except httpx.HTTPError as error:
            raise errors.Unavailable(
                f"MLflow's server does not answer ({type(error).__name__})", cure="`doubleloop status` shows its state."
            ) from error

    def experiment_id(self, experiment: str) -> str:
        try:
            found = self._call("GET", "experiments/get-by-name", experiment_name=experiment)
            return str(found["experiment"]["experiment_id"])
        except errors.NotFound:
            pass
        try:
            return str(self._call("POST", "experiments/create", name=experiment)["experiment_id"])
        except errors.InvalidInput:  # somebody else made it in between
            found = self._call("GET", "experiments/get-by-name", experiment_name=experiment)
            return str(found["experiment"]["experiment_id"])

    def create_run(self, experiment: str, name: str, tags: Mapping[str, str], user: str) -> str:
        pairs = {**tags, "mlflow.user": user, "mlflow.runName": name}
        made = self._call(
            "POST", "runs/create", experiment_id=self.experiment_id(experiment), run_name=name,
            start_time=time.time_ns() // 1_000_000, tags=[{"key": k, "value": v} for k, v in pairs.items()],
        )  # fmt: skip
        return str(made["run"]["info"]["run_id"])

    def find_run(self, experiment: str, tag: str, value: str) -> str | None:
        found = self._call(
            "POST", "runs/search", experiment_ids=[self.experiment_id(experiment)], max_results=1,
            filter=f"tags.`{tag}` = {_quoted(value)}",
        )  # fmt: skip
        runs = found.get("runs") or []
        return str(runs[0]["info"]["run_id"]) if runs else None

    def end_run(self, run_id: str, status: str) -> None:
        self._call("POST", "runs/update", run_id=run_id, status=status, end_time=time.time_ns() // 1_000_000)

    def _run(self, run_id: str) -> dict[str, Any]:
        data: dict[str, Any] = self._call("GET", "runs/get", run_id=run_id)["run"].get("data", {})
        return data

    def metrics(self, run_id: str) -> dict[str, float]:
        return {each["key"]: float(each["value"]) for each in self._run(run_id).get("metrics", [])}

    def metric_history(self, run_id: str, key: str) -> list[tuple[int, float]]:
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            page = self._call(
                "GET", "metrics/get-history", run_id=run_id, metric_key=key, max_results=HISTORY,
                **({"page_token": token} if token else {}),
            )  # fmt: skip
            found += page.get("metrics", [])
            token = page.get("next_page_token") or ""
            if not token:
                break
        found.sort(key=lambda each: (int(each.get("timestamp", 0)), int(each.get("step", 0))))
        return [(int(each.get("step", 0)), float(each["value"])) for each in found]

    def log_metric(self, run_id: str, key: str, value: float) -> None:
        self._call(
            "POST", "runs/log-metric", run_id=run_id, key=key, value=value, timestamp=time.time_ns() // 1_000_000
        )

    def params(self, run_id: str) -> dict[str, str]:
        return {each["key"]: each["value"] for each in self._run(run_id).get("params", [])}

    def tags(self, run_id: str) -> dict[str, str]:
        return {each["key"]: each["value"] for each in self._run(run_id).get("tags", [])}

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        self._call("POST", "runs/set-tag", run_id=run_id, key=key, value=value)

    def registered(self, since_ms: int = 0) -> list[ports.Registered]:
        found = [each for place in self._everywhere() for each in place._registered(since_ms)]
        return sorted(found, key=lambda each: (each.created_ms, each.name, int(each.number)))

    def _registered(self, since_ms: int) -> list[ports.Registered]:
        found: list[ports.Registered] = []
        token = ""
        while True:
            query: dict[str, Any] = {"max_results": PAGE, "order_by": "last_updated_timestamp DESC"}
            page = self._call("GET", "model-versions/search", **query, **({"page_token": token} if token else {}))
            versions = [_registered(each) for each in page.get("model_versions", [])]
            found += [each for each in versions if each.created_ms >= since_ms]
            token = page.get("next_page_token") or ""
            updated = [int(each["last_updated_timestamp"]) for each in page.get("model_versions", [])]
            if not token or (updated and min(updated) < since_ms):
                return found

    def registered_version(self, name: str, number: str) -> ports.Registered | None:
        found = self._holder(name, number)
        return _registered(found[1]) if found else None

    def _holder(self, name: str, version: str) -> tuple[Mlflow, dict[str, Any]] | None:
        """The workspace that a version is in, and the version: numbers are counted over all of them."""
        for place in self._everywhere():
            try:
                return place, place._call("GET", "model-versions/get", name=name, version=version)["model_version"]
            except errors.NotFound:
                continue
        return None

    def files_of(self, name: str, version: str) -> Path:
        found = self._holder(name, version)
        if found is None:
            raise errors.NotFound(f"MLflow's registry has no {name}:{version}")
        uri = found[0]._call("GET", "model-versions/get-download-uri", name=name, version=version)["artifact_uri"]
        folder = self._folder(str(uri))
        if not folder.exists():
            raise errors.NotFound(f"The files of model {name}:{version} are not in the artifact store")
        return folder

    def register(
        self, name: str, folder: Path, run_id: str | None, key: str, about: ports.About = ports.NOTHING
    ) -> str:  # fmt: skip
        for each in self._versions_of(name):
            if any(tag["key"] == KEY and tag["value"] == key for tag in each.get("tags", [])):
                return str(each["version"])
        # MLflow takes a source only from a run's own artifacts: a registered folder gets a run that says so.
        run_id = run_id or self.find_run(UPLOADS, KEY, key) or self.create_run(UPLOADS, name, {KEY: key}, "doubleloop")
        source = f"{self._call('GET', 'runs/get', run_id=run_id)['run']['info']['artifact_uri']}/{folder.name}"
        _lay(folder, self._folder(source))
        self.end_run(run_id, "FINISHED")
        with contextlib.suppress(errors.InvalidInput):  # it exists; a bad name fails at the next call too
            self._call("POST", "registered-models/create", name=name)
        made = self._call(
            "POST", "model-versions/create", name=name, run_id=run_id, source=source, description=about.description,
            tags=[{"key": each, "value": value} for each, value in _tags(about, key).items()],
        )  # fmt: skip
        return str(made["model_version"]["version"])

    def _folder(self, uri: str) -> Path:
        """The local folder of an ``mlflow-artifacts:`` address. Raises NotSupported, InvalidInput."""
        scheme, _, path = uri.partition(":")
        if scheme != "mlflow-artifacts":
            raise errors.NotSupported(
                f"{uri} is not in this server's artifacts",
                cure="Log the model with mlflow.<flavor>.log_model(...) and register that, or use "
                "`doubleloop model create`.",
            )
        place = (self._artifacts / path.split("//")[-1].lstrip("/")).resolve()
        if not place.is_relative_to(self._artifacts.resolve()):
            raise errors.InvalidInput(f"{uri} points outside the artifact store")
        return place

    def _versions_of(self, name: str) -> list[dict[str, Any]]:
        page = self._call("GET", "model-versions/search", filter=f"name={_quoted(name)}", max_results=PAGE)
        versions: list[dict[str, Any]] = page.get("model_versions", [])
        return versions

    def set_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        found = self._holder(name, version)
        if found is None:
            raise errors.NotFound(f"MLflow's registry has no {name}:{version}")
        found[0]._call("POST", "model-versions/set-tag", name=name, version=version, key=key, value=value)


def _checked(answer: httpx.Response, path: str) -> dict[str, Any]:
    """The body of a good answer. Raises NotFound, InvalidInput, Unavailable."""
    if answer.status_code == 404:
        raise errors.NotFound(_message(answer))
    if answer.status_code >= 500 or answer.status_code == 429:
        raise errors.Unavailable(f"MLflow answered {answer.status_code}: {_message(answer)}")
    if answer.status_code >= 400:
        raise errors.InvalidInput(f"MLflow refused {path}: {_message(answer)}")
    body: dict[str, Any] = answer.json()
    return body


def _lay(folder: Path, place: Path) -> None:
    """Copy model files (a folder, or one file) to ``place``: complete, or not there."""
    if place.exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{place.name}.incoming")
    if folder.is_dir():
        shutil.rmtree(beside, ignore_errors=True)
        shutil.copytree(folder, beside)
    else:
        shutil.copyfile(folder, beside)
    beside.rename(place)


def _quoted(text: str) -> str:
    """A text of MLflow's filter language, which knows two kinds of quotes and no way to escape them."""
    mark = next((mark for mark in ("'", '"') if mark not in text), None)
    if mark is None:
        raise errors.InvalidInput(f"MLflow cannot be asked for {text!r}: it holds both kinds of quotes")
    return f"{mark}{text}{mark}"


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("message", answer.text))
    except ValueError:
        return answer.text[:300]


def _tags(about: ports.About, key: str) -> dict[str, str]:
    own = {KEY: key}
    if about.version:
        own[VERSION] = about.version
    if about.properties:
        own[PROPERTIES] = json.dumps(dict(about.properties))
    return {**about.tags, **own}


def _registered(body: Mapping[str, Any]) -> ports.Registered:
    number = str(body["version"])
    tags = {each["key"]: str(each.get("value", "")) for each in body.get("tags", [])}
    chosen = tags.pop(VERSION, "")
    tags.pop(KEY, None)
    return ports.Registered(
        body["name"], chosen if ids.is_name(chosen) else number, body.get("run_id") or None, body.get("source", ""),
        int(body["creation_timestamp"]), body.get("status", "READY"), number, body.get("description") or "", tags,
        _properties(tags.pop(PROPERTIES, "{}")),
    )  # fmt: skip


def _properties(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
