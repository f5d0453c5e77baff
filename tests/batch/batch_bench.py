"""Batch endpoints in a house whose jobs really run."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from jobs_workshop import Workshop

from doubleloop.batch import commands
from doubleloop.jobs.model import Job
from doubleloop.specs import documents
from doubleloop.specs import model as specs
from doubleloop.storage import ports as storage

ENVIRONMENT = "{conda_file: {dependencies: [python=3.11]}}"
SCRIPT = """
import os
def init(): pass
def run(mini_batch):
    return [f"{os.path.basename(path)} {open(path).read()}" for path in mini_batch]
"""


class Bench:
    def __init__(self, shop: Workshop, folder: Path) -> None:
        self.shop = shop
        self.folder = folder
        self.house = shop.house

    def file(self, kind: str, text: str) -> specs.Document:
        """A document whose local paths have been stored, as the command line does it."""
        found = documents.parse(textwrap.dedent(text), f"{kind}.yml", self.folder, kind=kind)
        blobs = self.house.ports[storage.Blobs]
        sent = {}
        for each in documents.local_paths(found):
            if each.is_dir:
                sent[each.pointer] = f"tree:sha256:{blobs.put_tree(each.path).sha256}"
            else:
                entry = storage.Entry(each.path.name, blobs.put_file(each.path), each.path.stat().st_size)
                sent[each.pointer] = f"tree:sha256:{blobs.put_entries((entry,)).sha256}/{each.path.name}"
        return documents.with_paths(found, sent)

    def write(self, **files: str) -> None:
        for name, text in files.items():
            path = self.folder / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def endpoint(self, text: str = "{name: scoring}", user: str = "grace") -> Any:
        with self.house.write(user) as ctx:
            return commands.put_endpoint(ctx, self.file("batch_endpoint", text))

    def deploy(self, text: str, user: str = "grace", **options: Any) -> Any:
        with self.house.write(user) as ctx:
            return commands.put_deployment(ctx, self.file("batch_deployment", text), **options)

    def scripted(self, script: str = SCRIPT, more: str = "", **options: Any) -> Any:
        """An endpoint with the deployment ``blue`` of a script, over a model that is a file."""
        self.write(code__score_dot_py=script, model_dot_txt="model")
        self.endpoint()
        return self.deploy(
            "name: blue\nendpoint_name: scoring\nmodel: {path: model.txt}\n"
            f"environment: {ENVIRONMENT}\ncode_configuration: {{code: code, scoring_script: score.py}}\n{more}",
            **options,
        )

    def invoke(self, text: str, user: str = "ada", endpoint: str = "scoring", **options: Any) -> Job:
        with self.house.write(user) as ctx:
            return commands.invoke(ctx, endpoint, self.file("batch_invocation", text), **options)

    def run(self, text: str, **options: Any) -> Job:
        """Invoke and carry out; the job as it ended."""
        job = self.invoke(text, **options)
        self.shop.engine.run()
        return self.shop.job(job.id)

    def rows(self, job: Job, name: str = "predictions.csv") -> list[str]:
        return self.shop.text(job.outputs["score"], name).splitlines()
