"""A package index of our own on the loopback, so that what an index does can be chosen."""

from __future__ import annotations

import http.server
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


class Index:
    """Serves wheels by PEP 503 and 658. ``hold`` makes downloads of wheels wait until ``released`` is set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.waiting = threading.Event()
        self.released = threading.Event()
        self.released.set()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/simple"

    def add(
        self, name: str, version: str, needs: tuple[str, ...] = (), python: str = ">=3.7", modules: tuple[str, ...] = ()
    ) -> None:
        """A wheel of the module ``name``, and of further ones; that with an exclamation mark is no Python."""
        info = f"{name}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: {python}\n"
        files = {
            f"{name}.py": f"VERSION = '{version}'\n",
            f"{info}/METADATA": metadata + "".join(f"Requires-Dist: {need}\n" for need in needs),
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        files |= {f"{each.rstrip('!')}.py": "x = 1\n" if each[-1] != "!" else "x = = 1\n" for each in modules}
        files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
        with zipfile.ZipFile(self.folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)

    def hold(self) -> None:
        self.released.clear()

    def stop(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        index = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.asked.append(self.path)
                body = index.answer(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Type", "text/html" if self.path.startswith("/simple") else "application/zip")
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def answer(self, path: str) -> bytes | None:
        if path.endswith(".metadata"):
            wheel = self.folder / Path(path).name.removesuffix(".metadata")
            name, version = wheel.name.split("-")[:2]
            return zipfile.ZipFile(wheel).read(f"{name}-{version}.dist-info/METADATA")
        if path.startswith("/files/"):
            self.waiting.set()
            self.released.wait(60)
            return (self.folder / Path(path).name).read_bytes()
        name = path.strip("/").split("/")[-1]
        files = sorted(self.folder.glob(f"{name.replace('-', '_')}-*.whl"))
        links = "".join(f'<a href="/files/{file.name}" data-core-metadata="true">{file.name}</a>\n' for file in files)
        return f"<!DOCTYPE html><html><body>{links}</body></html>".encode() if files else None


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """The index that uv asks in this test; it has pip and setuptools, which every environment gets."""
    folder = tmp_path / "index"
    folder.mkdir()
    served = Index(folder)
    for name, version in (("pip", "25.0"), ("setuptools", "80.9.0"), ("setuptools", "82.0.0")):
        served.add(name, version)
    monkeypatch.setenv("UV_DEFAULT_INDEX", served.url)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "ignored"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    yield served
    served.stop()


@pytest.fixture
def another_index(tmp_path: Path) -> Iterator[Index]:
    folder = tmp_path / "another"
    folder.mkdir()
    served = Index(folder)
    yield served
    served.stop()


@pytest.fixture
def conda_file() -> Callable[..., str]:
    """A conda file's text of these pip lines."""

    def write(*lines: str, python: str = "3.11") -> str:
        return f"dependencies:\n- python={python}\n- pip:\n" + "".join(f"  - {line}\n" for line in lines)

    return write
