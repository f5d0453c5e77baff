from __future__ import annotations

from console_scene import Scene
from starlette.testclient import TestClient

from doubleloop.console import pages


def client(scene: Scene) -> TestClient:
    return TestClient(pages.create(scene.contexts, scene.settings), follow_redirects=False)


def test_scene(scene: Scene) -> None:
    c = client(scene)
    print(c.get("/login").text[:300])
