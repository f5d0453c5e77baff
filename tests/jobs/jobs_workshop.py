"""A house with real compute, the real step runner, a tracking server in memory, and this Python as the environment."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doubleloop.base import actors, errors
from doubleloop.compute import ports as compute_ports
from doubleloop.compute.local import LocalCompute
from doubleloop.db.context import Contexts
from doubleloop.durable.fake import EagerEngine
from doubleloop.events import queries as events
from doubleloop.jobs import commands, ports, queries, workflows
from doubleloop.jobs.model import Job, Step
from doubleloop.specs import documents
from doubleloop.specs import model as specs
from doubleloop.storage import ports as storage
from doubleloop.tracking import ports as tracking_ports
from doubleloop.tracking.fake import MemoryTracking

LOCK = "e" * 64


@dataclass(frozen=True)
class Ready:
    lock_digest: str
    python: Path


class ThisPython:
    """Environments that are there already: the interpreter of the tests. ``locks`` maps a name to another digest."""

    def __init__(self) -> None:
        self.locks: dict[str, str] = {}

    def prepare(
        self,
        contexts: Contexts,
        actor: actors.Actor,
        workspace: str,
        environment: str | Mapping[str, Any],
        progress: Callable[[str], None],
    ) -> Ready:
        if environment == "azureml:missing@latest":
            raise errors.NotFound("There is no environment missing@latest", cure="Known: base.")
        progress("the environment is there")
        return Ready(self.locks.get(str(environment), LOCK), Path(sys.executable))


class Workshop:
    def __init__(self, house: Any) -> None:
        self.house = house
        self.contexts: Contexts = house.contexts
        self.compute = LocalCompute(house.home)
        self.tracking = MemoryTracking()
        self.environments = ThisPython()
        house.ports[compute_ports.Compute] = self.compute
        house.ports[tracking_ports.Tracking] = self.tracking
        house.ports[ports.Environments] = self.environments
        self.engine = EagerEngine(self.contexts, workflows.WORKFLOWS)

    def document(self, text: str, folder: Path | None = None) -> specs.Document:
        """A file's text as a document whose local paths have been stored, as the command line does it."""
        found = documents.parse(textwrap.dedent(text), "job.yml", folder or self.house.home)
        blobs = self.house.ports[storage.Blobs]
        sent = {}
        for each in documents.local_paths(found):
            if each.is_dir:
                sent[each.pointer] = f"tree:sha256:{blobs.put_tree(each.path).sha256}"
            else:
                entry = storage.Entry(each.path.name, blobs.put_file(each.path), each.path.stat().st_size)
                sent[each.pointer] = f"tree:sha256:{blobs.put_entries((entry,)).sha256}/{each.path.name}"
        return documents.with_paths(found, sent)

    def submit(self, text: str, *, folder: Path | None = None, user: str = "ada", **options: Any) -> Job:
        with self.house.write(user) as ctx:
            return commands.submit(ctx, self.document(text, folder), **options)

    def run(self, text: str, **options: Any) -> Job:
        """Submit and carry out; the job as it ended."""
        job = self.submit(text, **options)
        self.engine.run()
        return self.job(job.id)

    def job(self, id_: str) -> Job:
        with self.house.read() as ctx:
            return queries.show(ctx, id_)

    def steps(self, id_: str) -> dict[str, Step]:
        with self.house.read() as ctx:
            return {step.name: step for step in queries.steps(ctx, id_)}

    def log(self, id_: str, step: str | None = None) -> str:
        with self.house.read() as ctx:
            return queries.log(ctx, id_, step)[0].decode()

    def text(self, output: Mapping[str, Any], below: str = "") -> str:
        """The content of an output that is a file, or of a file in an output that is a folder."""
        blobs = self.house.ports[storage.Blobs]
        reference = str(output["reference"]) + (f"/{below}" if below else "")
        return blobs.materialise(reference, self.house.home.parent / "look").read_text()

    def facts(self, *types: str) -> list[Any]:
        with self.house.read("service:setup", None) as ctx:
            return events.facts(ctx, types=types)
