"""A real Label Studio server in an environment of its own, laid once for all tests; and a small stand-in for it that
answers as it did (1.23.0), for what every run of the suite can afford."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import uv

VERSION = "1.23.0"
_PLACE = Path(__file__).parents[2] / ".cache" / f"label-studio-{VERSION}-{sys.version_info[0]}{sys.version_info[1]}"
# It is 860 MB and takes a minute of a core to begin: only where it lies at hand, or is asked for.
WANTED = "DOUBLELOOP_LABEL_STUDIO"
EMAIL, PASSWORD = "ada@example.com", "only-for-tests"


@contextlib.contextmanager
def real(scratch: Path) -> Iterator[tuple[str, str]]:
    """(address, access token) of a server with nothing in it. Skips the test where it cannot be had."""
    if not _PLACE.exists() and not os.environ.get(WANTED):
        pytest.skip(f"Label Studio {VERSION} is not at hand: {WANTED}=1 installs it (860 MB)")
    _PLACE.parent.mkdir(exist_ok=True)
    with _PLACE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _PLACE.exists():
            _install(_PLACE)
        data = shutil.copytree(_PLACE / "data", scratch / "data") if (_PLACE / "data").exists() else scratch / "data"
        with _running(Path(data)) as url:
            if not (_PLACE / "data").exists():  # what its first start took a minute for
                shutil.copytree(data, _PLACE / "data")
            yield url, _token(url)


def _install(place: Path) -> None:
    incoming = place.with_suffix(".incoming")
    shutil.rmtree(incoming, ignore_errors=True)
    subprocess.run(
        [uv.find_uv_bin(), "venv", "-q", "--python", sys.executable, str(incoming), "--relocatable"], check=True
    )
    command = [uv.find_uv_bin(), "pip", "install", "-q", "--python", str(incoming / "bin" / "python")]
    done = subprocess.run([*command, f"label-studio=={VERSION}"], capture_output=True, text=True)
    if done.returncode:
        shutil.rmtree(incoming, ignore_errors=True)
        pytest.skip(f"Label Studio {VERSION} cannot be had here: {done.stderr.strip()[-300:]}")
    incoming.rename(place)


@contextlib.contextmanager
def _running(data: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data.mkdir(parents=True, exist_ok=True)
    command = [
        str(_PLACE / "bin" / "python"), "-m", "label_studio.server", "start", "--no-browser", "--username", EMAIL,
        "--password", PASSWORD, "-p", str(port), "--internal-host", "127.0.0.1",
    ]  # fmt: skip
    # It would ask for its newest version, and tell its makers that it runs.
    quiet = {"COLLECT_ANALYTICS": "False", "https_proxy": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    env = {"PATH": os.environ["PATH"], "HOME": str(data), "LABEL_STUDIO_BASE_DATA_DIR": str(data), **quiet}
    with (data / "server.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=env)
    try:
        url = f"http://127.0.0.1:{port}"
        while process.poll() is None and not _answers(url):
            time.sleep(0.5)
        assert process.poll() is None, (data / "server.log").read_text()[-2000:]
        yield url
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _token(url: str) -> str:
    """A personal access token, as a person makes one on the page."""
    with httpx.Client(base_url=url, timeout=60, follow_redirects=True, headers={"Referer": url}) as client:
        client.get("/user/login/")
        form = {"email": EMAIL, "password": PASSWORD, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
        client.post("/user/login/", data=form).raise_for_status()
        made = client.post("/api/token/", headers={"X-CSRFToken": client.cookies["csrftoken"]})
        return str(made.raise_for_status().json()["token"])


@dataclass
class StandIn:
    """What the server holds. ``trouble``: statuses that the next answers have instead."""

    token: str = "a.personal.token"
    projects: list[dict[str, Any]] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    webhooks: list[dict[str, Any]] = field(default_factory=list)
    annotations: int = 0
    trouble: list[int] = field(default_factory=list)

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if self.trouble:
            return self.trouble.pop(0), {"detail": "in trouble"}
        parts = [each for each in path.removeprefix("/api/").split("/") if each]
        match (method, *parts):
            case ("POST", "token", "refresh"):
                known = body["refresh"] == self.token
                return (200, {"access": "for-minutes"}) if known else (401, {"detail": "no"})
            case ("GET", "projects"):
                return 200, {"count": len(self.projects), "results": self.projects}
            case ("POST", "projects"):
                self.projects.append({**body, "id": len(self.projects) + 1})
                return 201, self.projects[-1]
            case ("POST", "projects", project, "import"):
                for each in body:
                    number = len(self.tasks) + 1
                    self.tasks.append({**each, "id": number, "project": int(project), "annotations": []})
                return 201, {"task_count": len(body)}
            case ("GET", "projects", project, "export"):
                return 200, [each for each in self._of(project) if each["annotations"]]
            case ("GET", "tasks"):
                found = self._of(query["project"])
                return 200, {"total": len(found), "tasks": found}
            case ("GET", "users"):
                return 200, [{"id": 1, "email": EMAIL}]
            case ("GET", "webhooks"):
                return 200, [each for each in self.webhooks if str(each["project"]) == query["project"]]
            case ("POST", "webhooks"):
                self.webhooks.append(body)
                return 201, body
            case ("POST", "tasks", task, "annotations"):
                return 201, self._annotate(int(task), body)
            case (_, "annotations", number):
                return self._change(method, int(number), body)
        return 404, {"detail": path}

    def _of(self, project: str) -> list[dict[str, Any]]:
        return [each for each in self.tasks if str(each["project"]) == project]

    def _annotate(self, task: int, body: dict[str, Any]) -> dict[str, Any]:
        self.annotations += 1
        made = {
            "was_cancelled": False,
            **body,
            "id": self.annotations,
            "completed_by": 1,
            "updated_at": str(time.time()),
        }
        self.tasks[task - 1]["annotations"].append(made)
        self._call_back()
        return made

    def _change(self, method: str, number: int, body: Any) -> tuple[int, Any]:
        for task in self.tasks:
            for each in list(task["annotations"]):
                if each["id"] == number and method == "DELETE":
                    task["annotations"].remove(each)
                elif each["id"] == number:
                    each |= {**body, "updated_at": str(time.time())}
        self._call_back()
        return (204, None) if method == "DELETE" else (200, {"id": number})

    def _call_back(self) -> None:
        for each in self.webhooks:
            with contextlib.suppress(httpx.HTTPError):
                httpx.post(each["url"], headers=each["headers"], json={"action": "ANNOTATION_CREATED"})


@contextlib.contextmanager
def serving(answer: Any) -> Iterator[str]:
    """An HTTP server in this process: ``answer(method, path, query, body)`` gives (status, JSON)."""

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            parts = urllib.parse.urlsplit(self.path)
            text = self.rfile.read(int(self.headers.get("content-length") or 0))
            query = dict(urllib.parse.parse_qsl(parts.query))
            status, found = answer(self.command, parts.path, query, json.loads(text or b"null"))
            content = b"" if found is None else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = _do

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
