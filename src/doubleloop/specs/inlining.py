"""Files that a file refers to and that become part of it: components, conda files, jobs, contracts, releases' parts."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from doubleloop.base import errors
from doubleloop.specs import beside, detection, includes, pointers, references, sources

MAX_FILE = 4 * 1024 * 1024
MAX_NESTING = 10

Data = dict[str, Any]


def read_text(path: Path, shown: str, where: errors.Where | None = None) -> str:
    """The text of a file. Raises InvalidInput when it is missing, not a file, too large or not UTF-8."""
    try:
        if path.is_dir():
            raise errors.InvalidInput(f"'{shown}' is a folder, and a file is needed", where=where)
        if path.stat().st_size > MAX_FILE:
            raise errors.InvalidInput(f"'{shown}' is larger than {MAX_FILE} bytes", where=where)
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise errors.InvalidInput(
            f"the file '{shown}' does not exist",
            where=where,
            cure=f"looked for {path.absolute()}; paths start at the folder of the file they are written in",
        ) from None
    except UnicodeDecodeError:
        raise errors.InvalidInput(f"'{shown}' is not UTF-8 text", where=where, cure="save it as plain UTF-8") from None
    except OSError as error:
        raise errors.InvalidInput(f"'{shown}' cannot be read: {error.strerror or error}", where=where) from None


class Inliner:
    """Replaces references to local files by what is in them, and keeps the source in step."""

    def __init__(self, data: Data, source: sources.Source, depth: int = 0) -> None:
        self.data = data
        self.source = source
        self._depth = depth

    def run(self, kind: str) -> None:
        self._kind(kind, ())

    def _kind(self, kind: str, at: pointers.Pointer) -> None:
        step = _STEPS.get(kind)
        if step:
            step(self, at)

    def _each(self, at: pointers.Pointer, key: str) -> list[pointers.Pointer]:
        below = pointers.get(self.data, (*at, key))
        keys = below if isinstance(below, dict) else range(len(below)) if isinstance(below, list) else ()
        return [(*at, key, str(item)) for item in keys]

    def environment(self, at: pointers.Pointer) -> None:
        value = pointers.get(self.data, at)
        if isinstance(value, str) and value.startswith("file:"):
            self._document(at, "environment")
            value = pointers.get(self.data, at)
        if isinstance(value, dict):
            self._conda((*at, "conda_file"))

    def _conda(self, at: pointers.Pointer) -> None:
        value = pointers.get(self.data, at)
        if isinstance(value, dict) and "$file" not in value:
            where = self.source.where(at)
            text = "\n" * max(where.line - 1, 0) + json.dumps(value, default=str)
            self._carry(at, where.file, text, value, self.source.base_at(at))
        if isinstance(value, str):
            path, shown = self._locate(value, at)
            text = read_text(path, value, self.source.where(at))
            self._carry(at, shown, text, text, path.parent)

    def _carry(self, at: pointers.Pointer, file: str, text: str, conda: str | Data, folder: Path) -> None:
        """The conda file as part of the document, with the requirements files that it includes."""

        def text_of(path: Path, written: str) -> str:
            return read_text(path, written, errors.Where(file))

        files = includes.read(conda, folder, text_of)
        pointers.put(self.data, at, {"$file": file, "text": text, **({"files": files} if files else {})})

    def command(self, at: pointers.Pointer) -> None:
        self.environment((*at, "environment"))

    def component(self, at: pointers.Pointer) -> None:
        """A component in a file of its own, whose ``additional_includes`` may stand in a file beside it."""
        self.command(at)
        name = f"{Path(self.source.file).stem}{beside.SUFFIX}"
        path = self.source.base_dir / name
        if at or not path.is_file():
            return
        shown = os.path.join(os.path.dirname(self.source.file), name)
        if beside.NAME in self.data:
            raise errors.InvalidInput(
                f"'{beside.NAME}' are written here and in {shown}", where=self.source.where(beside.NAME),
                cure="Keep one of them.",
            )  # fmt: skip
        self.data[beside.NAME], source = beside.read(read_text(path, shown), shown)
        self.source = self.source.mounted((beside.NAME,), replace(source, base_dir=self.source.base_dir, bases={}))

    def sweep(self, at: pointers.Pointer) -> None:
        self.environment((*at, "trial", "environment"))

    def parallel(self, at: pointers.Pointer) -> None:
        self.environment((*at, "task", "environment"))

    def pipeline(self, at: pointers.Pointer) -> None:
        self._component((*at, "component"))
        for step in self._each(at, "jobs"):
            self.environment((*step, "environment"))
            self.environment((*step, "task", "environment"))
            self._component((*step, "component"))
            self._component((*step, "trial"))
            if isinstance(pointers.get(self.data, (*step, "jobs")), dict):
                self.pipeline(step)

    def _component(self, at: pointers.Pointer) -> None:
        """A component of a step: a file to read in, or one written inline, whose own files are read in."""
        value = pointers.get(self.data, at)
        if isinstance(value, str) and references.is_local(value):
            self._document(at, "component")
        elif isinstance(value, dict):
            self.environment((*at, "environment"))
            self.environment((*at, "task", "environment"))
            if "jobs" in value:
                self.pipeline(at)

    def deployment(self, at: pointers.Pointer) -> None:
        self.environment((*at, "environment"))
        self._maybe((*at, "component"), "component")
        self._maybe((*at, "job_definition"), "job")

    def schedule(self, at: pointers.Pointer) -> None:
        create = (*at, "create_job")
        value = pointers.get(self.data, create)
        if isinstance(value, str) and references.is_local(value):
            self.source = self.source.mounted((*create, "job"), self.source.part(create))
            pointers.put(self.data, create, {"job": value})
        if isinstance(value, dict) and "job" not in value and ("command" in value or "jobs" in value):
            self.source = self.source.mounted((*create, "job"), self.source.part(create))
            pointers.put(self.data, create, {"job": value})
        self._job((*create, "job"))
        self.environment((*create, "environment"))

    def release(self, at: pointers.Pointer) -> None:
        for stage in self._each(at, "stages"):
            self._job((*stage, "retrain", "job"))
            self._maybe((*stage, "endpoint"), "online_endpoint")
            self._maybe((*stage, "deployment"), "online_deployment")
            self._maybe((*stage, "monitor"), "schedule")
            for check in self._each(stage, "checks"):
                self._maybe((*check, "contract"), "contract")
                self.environment((*check, "environment"))

    def rule(self, at: pointers.Pointer) -> None:
        for action in self._each(at, "do"):
            self._job((*action, "run_job", "job"))
            self._labeling((*action, "open_labeling", "project"))

    def _labeling(self, at: pointers.Pointer) -> None:
        """A name without an ending is that of a project that there is, or will be."""
        value = pointers.get(self.data, at)
        if not isinstance(value, str) or value.strip().lower().endswith((".yml", ".yaml", ".json")):
            self._maybe(at, "labeling")

    def labeling(self, at: pointers.Pointer) -> None:
        self._job((*at, "train", "job"))

    def setup(self, at: pointers.Pointer) -> None:
        for rule in self._each(at, "rules"):
            self._maybe(rule, "rule")

    def _job(self, at: pointers.Pointer) -> None:
        self._maybe(at, "job")

    def _maybe(self, at: pointers.Pointer, kind: str) -> None:
        """A nested document: read it in when it is a local file, go through it when it is written inline."""
        value = pointers.get(self.data, at)
        if isinstance(value, str) and references.is_local(value):
            self._document(at, kind)
        elif isinstance(value, dict):
            inner = Inliner(value, self.source.part(at), self._depth + 1)
            inner.run(detection.find(value, inner.source, kind))
            self._mount(at, inner)

    def _document(self, at: pointers.Pointer, kind: str) -> None:
        text = str(pointers.get(self.data, at))
        path, shown = self._locate(text, at)
        where = self.source.where(at)
        if self._depth >= MAX_NESTING:
            raise errors.InvalidInput(
                f"'{text}' is nested in too many files", where=where, cure="is it part of itself?"
            )
        data, source = sources.read(read_text(path, text, where), shown, path.parent)
        inner = Inliner(data, source, self._depth + 1)
        inner.run(detection.find(data, source, kind))
        self._mount(at, inner)

    def _mount(self, at: pointers.Pointer, inner: Inliner) -> None:
        pointers.put(self.data, at, inner.data)
        self.source = self.source.mounted(at, inner.source)

    def _locate(self, text: str, at: pointers.Pointer) -> tuple[Path, str]:
        """The path of a local file, and how a person would write it, seen from the file that names it."""
        reference = references.parse(text, self.source.where(at))
        if not isinstance(reference, references.Local):
            raise errors.InvalidInput(
                f"'{text}' is not a local file", where=self.source.where(at), cure="give a path, or write it inline"
            )
        path = self.source.base_at(at) / os.path.expanduser(reference.path)
        shown = os.path.normpath(os.path.join(os.path.dirname(self.source.file_at(at)), reference.path))
        return Path(os.path.normpath(path)), shown


_STEPS: dict[str, Callable[[Inliner, pointers.Pointer], None]] = {
    "environment": Inliner.environment,
    "command_job": Inliner.command,
    "sweep_job": Inliner.sweep,
    "parallel_job": Inliner.parallel,
    "spark_job": Inliner.command,
    "command_component": Inliner.component,
    "parallel_component": Inliner.parallel,
    "spark_component": Inliner.command,
    "pipeline_job": Inliner.pipeline,
    "pipeline_component": Inliner.pipeline,
    "online_deployment": Inliner.deployment,
    "batch_deployment": Inliner.deployment,
    "schedule": Inliner.schedule,
    "release": Inliner.release,
    "rule": Inliner.rule,
    "labeling": Inliner.labeling,
    "setup": Inliner.setup,
}
