"""Images sent to an endpoint: as bytes, as base64, by their addresses; what is refused is never a status of 5xx."""

from __future__ import annotations

import base64
import contextlib
import http.server
import io
import shutil
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gateway_harness import KEY, Gateway, deployment, endpoint
from PIL import Image

from doubleloop.gateway import log, protocol
from doubleloop.recipes.vision import pictures

LOADER = """
from pathlib import Path
import numpy, pandas, pictures

class Lights:
    def predict(self, frame, params=None):
        light = [numpy.asarray(pictures.opened(each, "L")).mean() / 255 for each in frame["image"]]
        return pandas.DataFrame({
            "prediction": ["light" if each > 0.5 else "dark" for each in light],
            "probabilities": [[1 - each, each] for each in light],
        })

def _load_pyfunc(path):
    return Lights()
"""
KEYED = "shop/lights"
AUTHORIZED = {"Authorization": f"Bearer {KEY}"}


def file(light: int, kind: str = "PNG", side: int = 9) -> bytes:
    held = io.BytesIO()
    Image.fromarray(np.full((side, side), light, dtype=np.uint8)).save(held, kind)
    return held.getvalue()


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of images that tells light from dark; the names of its classes and its task are in its metadata."""
    import mlflow
    import pandas

    folder = tmp_path_factory.mktemp("lights")
    (folder / "lights.py").write_text(LOADER)
    shutil.copy(pictures.__file__, folder / "pictures.py")
    example = pandas.DataFrame({"image": [file(10)]})
    answer = pandas.DataFrame({"prediction": ["dark"], "probabilities": [[0.9, 0.1]]})
    mlflow.pyfunc.save_model(
        str(folder / "model"), loader_module="lights",
        code_paths=[str(folder / "lights.py"), str(folder / "pictures.py")],
        signature=mlflow.models.infer_signature(example, answer), pip_requirements=["pillow"],
        metadata={"task": "image_classification", "classes": ["dark", "light"], "image": "image"},
    )  # fmt: skip
    return folder / "model"


class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/inside":
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/latest")
            self.end_headers()
            return
        body = {"/light.png": file(250), "/page": b"<html>", "/large": b"x" * 300_000}.get(self.path)
        self.send_response(200 if body else 404)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[Gateway]:
    """``lights`` fetches no addresses; ``open`` those of the internet; ``near`` those of this machine, too."""
    gateway = Gateway(tmp_path_factory.mktemp("gateway") / "home", {"max_body_bytes": 200_000}).start()
    gateway.want({
        f"shop/{name}": endpoint({"blue": deployment(name, model, image_urls=urls)})
        for name, urls in (("lights", None), ("open", ()), ("near", ("127.0.0.1",)))
    })  # fmt: skip
    yield gateway
    gateway.kill()


def rows(*values: str) -> dict[str, Any]:
    return {"input_data": {"columns": ["image"], "data": [[each] for each in values]}}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF"])
def test_a_body_may_be_the_image(serving: Gateway, kind: str) -> None:
    with contextlib.closing(serving.client()) as client:
        found = client.send(
            "POST", f"/{KEYED}/score", file(250, kind), {"content-type": f"image/{kind.lower()}", **AUTHORIZED}
        )
    assert found.status == 200 and [row["prediction"] for row in found.json] == ["light"]


def test_base64_in_json_and_the_log_keeps_bytes(serving: Gateway) -> None:
    with contextlib.closing(serving.client()) as client:
        found = client.score(KEYED, rows(text(file(10)), text(file(250))))
        assert [row["prediction"] for row in found.json] == ["dark", "light"]
        assert client.score(KEYED, {"inputs": [text(file(10))]}).json["predictions"][0]["prediction"] == "dark"
        broken = client.score(KEYED, rows(base64.encodebytes(file(250)).decode()))
        assert [row["prediction"] for row in broken.json] == ["light"], "lines as MLflow's examples have them"
    serving.admin().flush()
    kept = log.read(serving.home, "shop", "lights", "blue")
    assert file(250) in kept["in.image"].to_list() and "light" in kept["out.prediction"].to_list()


def bomb() -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 60_000, 60_000) + bytes(9)


@pytest.mark.parametrize(
    ("value", "status", "said"),
    [
        (
            text(b"no image"),
            400,
            "row 0, column 'image': expected an image (PNG, JPEG, ...), got bytes that begin with",
        ),
        (text(file(10)[:48]), 400, "BadImage: the image cannot be read"),
        (text(bomb()), 413, "60000 x 60000 pixels"),
        ("no base64!", 400, "row 0, column 'image': expected binary (base64 text)"),
        (None, 400, "expected binary (base64 text), got null"),
        ("http://127.0.0.1/x.png", 400, "an address, which this deployment does not fetch"),
    ],
    ids=["text", "cut off", "bomb", "no base64", "null", "address"],
)
def test_what_is_no_image_is_the_callers_mistake(serving: Gateway, value: Any, status: int, said: str) -> None:
    with contextlib.closing(serving.client()) as client:
        found = client.score(KEYED, rows(value))
        assert found.status == status and said in found.error["message"], found.error
        assert client.score(KEYED, rows(text(file(10)))).status == 200


def test_a_body_that_is_no_image_too_large_or_of_another_type(serving: Gateway) -> None:
    def sent(body: bytes, kind: str) -> int:
        with contextlib.closing(serving.client()) as client:
            return client.send("POST", f"/{KEYED}/score", body, {"content-type": kind, **AUTHORIZED}).status

    assert sent(b"", "image/png") == 400
    assert sent(b"text", "image/png") == 400
    assert sent(file(1)[:48], "image/png") == 400
    assert sent(bomb(), "image/png") == 413
    assert sent(bytes(250_000), "image/png") == 413
    assert sent(file(1), "text/plain") == 415


def test_addresses_are_fetched_where_the_deployment_allows_it(serving: Gateway, site: str) -> None:
    def asked(name: str, url: str) -> Any:
        with contextlib.closing(serving.client()) as client:
            return client.score(f"shop/{name}", rows(text(file(10)), url))

    assert [row["prediction"] for row in asked("near", f"{site}/light.png").json] == ["dark", "light"]
    for name, url, status, said in (
        ("open", f"{site}/light.png", 403, "is not on the internet"),
        ("open", "http://169.254.169.254/latest", 403, "row 1, column 'image'"),
        ("near", f"{site}/inside", 403, "169.254.169.254"),
        ("near", f"{site}/nothing", 400, "row 1, column 'image': the address answered 404"),
        ("near", f"{site}/page", 400, "row 1, column 'image': expected an image"),
        ("near", f"{site}/large", 413, "more than 200000 bytes"),
        ("near", "http://127.0.0.1:9/x.png", 400, "cannot be fetched"),
    ):
        found = asked(name, url)
        assert found.status == status and said in found.error["message"], (url, found.error)
    serving.admin().flush()
    assert file(250) in log.read(serving.home, "shop", "near", "blue")["in.image"].to_list()


def test_its_openapi_tells_bodies_and_answers(serving: Gateway) -> None:
    with contextlib.closing(serving.client()) as client:
        told = client.send("GET", f"/{KEYED}/swagger.json", None, AUTHORIZED).json
    operation = told["paths"][f"/{KEYED}/score"]["post"]
    assert {"application/json", "image/png", "image/jpeg"} <= set(operation["requestBody"]["content"])
    row = operation["responses"]["200"]["content"]["application/json"]["schema"]["items"]["properties"]
    assert row["prediction"]["enum"] == ["dark", "light"] and row["probabilities"]["maxItems"] == 2
    assert protocol.Deployment("x", "p", "m").image_urls is None
