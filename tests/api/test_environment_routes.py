"""Environments that are built from a folder with a Dockerfile, over HTTP."""

from __future__ import annotations

import hashlib

from api_server import KINDS, SETUP, Prepared, Served, wire

from doubleloop.workspaces import commands as workspaces
from doubleloop.workspaces import model as places

BASE = "/api/v1/workspaces/dev"
BUILT = "{$schema: x/environment.schema.json, name: built, build: {path: 'tree:sha256:%s', dockerfile_path: %s}}"


def test_the_dockerfile_of_an_uploaded_folder_is_read(served: Served, prepared: Prepared) -> None:
    ada = served.as_("ada")
    entries = []
    dockerfile = "FROM python:3.11\nRUN pip install -r req.txt\n"
    for name, text in (("docker/Train", dockerfile), ("req.txt", "numpy==1.26.4\n")):
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        assert ada.put(f"/api/v1/blobs/{sha256}", content=text.encode()).status_code == 200
        entries.append([name, sha256, len(text), False])
    tree = ada.post("/api/v1/trees", json={"entries": entries}).json()["sha256"]
    made = ada.post(f"{BASE}/environments", json={"document": wire(BUILT % (tree, "docker/Train"))})
    assert made.status_code == 200, made.text
    missing = ada.post(f"{BASE}/environments", json={"document": wire(BUILT % (tree, "Dockerfile"))})
    assert missing.status_code == 400 and "has no 'Dockerfile'" in missing.text
    far = wire("{$schema: x/environment.schema.json, name: far, build: {path: 'https://example.com/x'}}")
    assert ada.post(f"{BASE}/environments", json={"document": far}).status_code == 422


def test_a_registry_named_azureml_extends_the_curated_environments(served: Served, prepared: Prepared) -> None:
    reference = "azureml://registries/azureml/environments/mine/labels/latest"
    job = {"document": wire(f"{{type: command, command: echo, environment: '{reference}'}}")}
    ada = served.as_("ada")
    assert "There is no curated environment" in ada.post(f"{BASE}/jobs", json=job).text
    with served.contexts.write(SETUP) as ctx:
        workspaces.put(ctx, places.Workspace("azureml", KINDS["prod"], "", True))
    own = wire("{$schema: x/environment.schema.json, name: mine, image: python}")
    made = served.as_("admin").post("/api/v1/workspaces/azureml/environments", json={"document": own})
    assert made.status_code == 200, made.text
    assert ada.post(f"{BASE}/jobs", json=job).status_code == 200
    curated = wire("{type: command, command: echo, environment: 'azureml:AzureML-sklearn-1.5@latest'}")
    assert ada.post(f"{BASE}/jobs", json={"document": curated}).status_code == 200
