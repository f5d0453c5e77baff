"""Jobs: submitting, following, and what they left."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doubleloop.base import errors
from doubleloop.sdk import jobs as http
from doubleloop.sdk import logs, outputs, routes
from doubleloop.sdk.entities.model import Entity
from doubleloop.sdk.operations import model

if TYPE_CHECKING:
    from os import PathLike

    import pandas

Write = Callable[[str], object]


class JobOutput:
    """An output of a job that has ended."""

    def __init__(self, place: model.Place, job: str, name: str, body: routes.Body) -> None:
        self._place, self._job, self.name, self.body = place, job, name, body

    @property
    def type(self) -> str | None:
        return self.body.get("type")

    @property
    def reference(self) -> str:
        """Its content address; it never changes."""
        return str(self.body["reference"])

    @property
    def id(self) -> str:
        """How another job names it: ``Input(type=..., path=job.outputs["model"].id)``."""
        return f"azureml://jobs/{self._job}/outputs/{self.name}"

    def path(self, target: str | PathLike[str] | None = None) -> Path:
        """The file or folder, fetched into ``target``; without it, into a folder that is gone when the program ends.
        Fetched once; what is there with the right content is kept."""
        if target is None:
            return self._place.laid(self.reference, self.name)
        return model.single(self._place.http.blobs.fetch(self.reference, Path(target), name=self.name), self.reference)

    def to_frame(self) -> pandas.DataFrame:
        """Its tables as one data frame: csv, tsv, parquet, jsonl or json, a folder of them, or an MLTable.

        Raises InvalidInput when it holds no table, Unavailable without pandas.
        """
        return self._place.frame(self.reference, self.name)

    def text(self) -> str:
        """What a single file holds. Raises InvalidInput for a folder of several."""
        path = self.path()
        files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
        if len(files) != 1:
            raise errors.InvalidInput(f"The output {self.name} holds {len(files)} files", cure="Read .path().")
        return files[0].read_text()

    def __repr__(self) -> str:
        return f"JobOutput({self.name!r}, type={self.type!r})"


class _Missing(dict[str, JobOutput]):
    """The outputs of a job; one that is not there is told with those that are."""

    def __init__(self, job: Job, found: Mapping[str, JobOutput]) -> None:
        super().__init__(found)
        self.__dict__["_job"] = job

    def __missing__(self, name: str) -> JobOutput:
        job: Job = self.__dict__["_job"]
        when = "" if job.status == "completed" else f" (it is {job.status})"
        raise errors.NotFound(
            f"Job {job.name} has no output {name}{when}", cure=f"It has: {', '.join(self) or 'none yet'}."
        )

    def __getattr__(self, name: str) -> JobOutput:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]


class Job:
    """A job of the server, as it was when last looked at: see ``refresh``. ``body`` is all that the server says."""

    def __init__(self, operations: JobOperations, body: routes.Body) -> None:
        self._operations, self.body = operations, body

    @property
    def name(self) -> str:
        return str(self.body["id"])

    @property
    def id(self) -> str:
        return f"azureml:{self.name}"

    @property
    def status(self) -> str:
        """``queued``, ``running``, ``completed``, ``failed`` or ``cancelled``."""
        return str(self.body["status"])

    @property
    def type(self) -> str | None:
        return self.body.get("kind")

    @property
    def display_name(self) -> str | None:
        return self.body.get("display_name")

    @property
    def experiment_name(self) -> str | None:
        return self.body.get("experiment")

    @property
    def created_by(self) -> str | None:
        return self.body.get("created_by")

    @property
    def studio_url(self) -> str | None:
        """The job's page in the console."""
        found = (self.body.get("services") or {}).get("Studio") or {}
        return found.get("endpoint")

    @property
    def outputs(self) -> Mapping[str, JobOutput]:
        """What it left, once it is completed; looked up anew while it is not. Raises NotFound for an unknown name."""
        if self.status not in http.ENDED:
            self.refresh()
        place = self._operations.place
        found = {
            name: JobOutput(place, self.name, name, dict(each))
            for name, each in (self.body.get("outputs") or {}).items()
        }  # fmt: skip
        return _Missing(self, found)

    @property
    def steps(self) -> list[routes.Body]:
        """Its steps as the server tells them: ``name``, ``status``, ``outputs``, ``reason`` …"""
        return self._operations.place.routes.jobs.steps(self.name)

    def refresh(self) -> Job:
        """Look again."""
        self.body = self._operations.place.routes.jobs.show(self.name)
        return self

    def wait(self, timeout: float | None = None) -> Job:
        """Wait in silence until it has ended. Raises Failed when it failed or was cancelled, Unavailable when it has
        not ended after ``timeout`` seconds."""
        self.body = self._operations._follow(self.name, None, timeout).body
        return self

    def stream(self, write: Write | None = None) -> Job:
        """Show its logs until it ends. Raises Failed when it failed or was cancelled."""
        self.body = self._operations._follow(self.name, write or _print, None).body
        return self

    def cancel(self) -> Job:
        self.body = self._operations.place.routes.jobs.cancel(self.name)
        return self

    def download(
        self, download_path: str | PathLike[str] = ".", *, output_name: str | None = None, all: bool = False
    ) -> dict[str, Path]:
        """As ``client.jobs.download``."""
        return self._operations.download(self.name, download_path=download_path, output_name=output_name, all=all)

    def _repr_html_(self) -> str:
        link = f' · <a href="{html.escape(self.studio_url)}">page</a>' if self.studio_url else ""
        return f"<b>{html.escape(self.name)}</b> {html.escape(self.status)}{link}"

    def __repr__(self) -> str:
        return f"Job({self.name!r}, status={self.status!r})"


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


class JobOperations:
    """``client.jobs``."""

    def __init__(self, place: model.Place) -> None:
        self.place = place

    def create_or_update(
        self, job: Entity, *, experiment_name: str | None = None, force_rerun: bool | None = None, **fields: Any
    ) -> Job:
        """Submit a job and return at once. ``fields``: what to set on it first (``compute=``, ``tags=``,
        ``display_name=`` …). ``force_rerun``: True runs every step, False lets a command job reuse an earlier run.

        Raises InvalidInput and NotSupported with file and line of the program (or file), Conflict when a job has that
        name already. What has no effect here is a warning of the logger ``doubleloop.sdk``.
        """
        for name, value in fields.items() if isinstance(job, Entity) else ():
            if name not in job._names():
                raise TypeError(f"create_or_update() got an unexpected keyword argument '{name}'")
            setattr(job, name, value)
        document, wire = self.place.ship(job)
        wanted: str | None = getattr(document.model, "name", None)
        if wanted:
            self._is_free(wanted)
        body = self.place.routes.jobs.submit(wire, id_=wanted, experiment=experiment_name, force_rerun=force_rerun)
        return Job(self, body)

    def submit(self, job: Entity, *, experiment_name: str | None = None, force_rerun: bool | None = None) -> Job:
        """The same, in a word of its own."""
        return self.create_or_update(job, experiment_name=experiment_name, force_rerun=force_rerun)

    def validate(self, job: Entity) -> list[str]:
        """Check a job here and on the server, and upload what it points at; the names of the steps that it would run.

        Raises InvalidInput, NotSupported or NotFound. ``job.validate()`` asks no server.
        """
        found = self.place.routes.jobs.validate(self.place.ship(job)[1])
        if not found["ok"]:
            raise errors.from_dict({"error": {"code": "invalid_input", **found["problems"][0]}})
        return [str(step["name"]) for step in found["steps"]]

    def get(self, name: str) -> Job:
        """Raises NotFound."""
        return Job(self, self.place.routes.jobs.show(name))

    def list(
        self, *, status: str | None = None, experiment_name: str | None = None, created_by: str | None = None,
        max_results: int | None = None,
    ) -> list[Job]:  # fmt: skip
        """Newest first."""
        found = self.place.routes.jobs.list(
            status=status, experiment=experiment_name, created_by=created_by, limit=max_results
        )
        return [Job(self, body) for body in found]

    def stream(self, name: str, write: Write | None = None) -> Job:
        """Show the logs of a job until it ends. Raises Failed when it failed or was cancelled.

        Ctrl-C ends the showing; the job goes on.
        """
        return self._follow(name, write or _print, None)

    def cancel(self, name: str) -> Job:
        """Stop a job: its processes end, its finished steps stay."""
        return Job(self, self.place.routes.jobs.cancel(name))

    def begin_cancel(self, name: str) -> model.Poller[Job]:
        """As ``cancel``; ``result()`` waits until nothing of it runs."""
        self.cancel(name)

        def look() -> Job | None:
            found = self.get(name)
            return found if found.status in http.ENDED else None

        return model.Poller(look, lambda: self.get(name).status)

    def retry(self, name: str) -> Job:
        """Run its failed, cancelled and skipped steps again; what is completed stays."""
        return Job(self, self.place.routes.jobs.retry(name))

    def download(
        self, name: str, *, download_path: str | PathLike[str] = ".", output_name: str | None = None,
        all: bool = False,
    ) -> dict[str, Path]:  # fmt: skip
        """Lay outputs below ``download_path``: ``named-outputs/NAME``, and the job's (or each step's) own folder
        ``artifacts`` with its log, which is meant when neither ``output_name`` nor ``all`` is given. The folders by
        output."""
        routes = self.place.routes.jobs
        found = outputs.addresses(routes, name)
        return {
            each: outputs.fetch(routes, self.place.http.blobs, name, found, each, Path(download_path))
            for each in outputs.choose(found, name, output_name, all)
        }

    def _follow(self, name: str, write: Write | None, timeout: float | None) -> Job:
        end = None if timeout is None else time.monotonic() + timeout
        told = logs.JobLogs(self.place.routes.jobs, name, write) if write else None
        pause = model.FIRST
        while True:
            found = self.get(name)
            moved = told.look() if told else False
            if found.status in http.ENDED and not moved:
                break
            if end is not None and time.monotonic() > end:
                raise errors.Unavailable(f"Job {name} has not ended after {timeout:g} s: it is {found.status}")
            pause = model.FIRST if moved else min(model.LAST, pause * 1.5)
            time.sleep(pause)
        if found.status != "completed":
            error = found.body.get("error")
            raise errors.Failed(
                f"Job {name} {found.status}{model.because(error)}",
                cure=model.cure(error) or "See job.steps, and the logs: client.jobs.stream(name).",
            )
        return found

    def _is_free(self, name: str) -> None:
        """A name that was chosen by hand must be new: the server would answer with the job that has it."""
        try:
            self.place.routes.jobs.show(name)
        except errors.NotFound:
            return
        raise errors.Conflict(f"There is a job {name} already", cure="Leave the name out, or choose another.")
