"""One scorer process: start it, hear that its model is ready, pass requests, notice its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from doubleloop.base import errors, masking
from doubleloop.gateway import checkers, desired, environment, links, paths, sealing, wire

logger = logging.getLogger(__name__)

SERVE = Path(__file__).resolve().parent.parent / "scorer" / "serve.py"
LARGEST_LOG = 10 * 1024 * 1024
STOP_SECONDS = 5.0
# After a scorer's end: a process it left behind may hold the pipe of its log open.
LAST_WORDS_SECONDS = 1.0
_CHUNK = 64 * 1024


class Killed(errors.Failed):
    """Somebody ended the process while it loaded its model; the model itself may be sound."""


class Hub:
    """Listens where scorers connect, and gives each connection to the scorer whose token it says."""

    def __init__(self) -> None:
        self._expected: dict[str, Scorer] = {}

    def expect(self, scorer: Scorer) -> None:
        self._expected[scorer.token] = scorer

    def forget(self, scorer: Scorer) -> None:
        self._expected.pop(scorer.token, None)

    def protocol(self) -> asyncio.Protocol:
        return links.Receiver(lambda token: self._expected.pop(token, None))


class Scorer(links.Link):
    """``ended`` is set when the process is gone."""

    def __init__(
        self, home: Path, deployment: desired.Deployment, hub: Hub,
        answered: links.Answered, died: Callable[[Scorer], None],
        collected: Callable[[dict[str, Any], bytes], None] = lambda header, body: None,
        disagreed: Callable[[dict[str, Any]], None] = lambda header: None,
    ) -> None:  # fmt: skip
        super().__init__(answered)
        self.token = secrets.token_hex(16)
        self.since = time.time()
        self.ended = asyncio.Event()
        self._home, self._deployment, self._hub = home, deployment, hub
        self._died, self._collected, self._disagreed = died, collected, disagreed
        self._pump: asyncio.Task[None] | None = None
        self._told = False
        self._process: asyncio.subprocess.Process | None = None
        self._reaper: asyncio.Task[None] | None = None  # held: the loop itself keeps only a weak reference
        self._loaded: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def start(self, timeout: float) -> dict[str, Any]:
        """Returns the model's description once it can answer. Raises errors.Failed with the scorer's own report."""
        folder = paths.scorer_folder(self._home, self._deployment.id)
        log = folder / "scorer.log"
        self._hub.expect(self)
        try:
            self._secrets = sealing.opened(self._home, self._deployment)
            self._prepare(folder, log)
            await self._spawn(folder, log)
            async with asyncio.timeout(timeout):
                return await self._loaded
        except TimeoutError:
            await self.kill()
            raise errors.Failed(f"the model was not ready after {timeout:.0f} seconds", cure=f"see {log}") from None
        except OSError as error:
            raise errors.Failed(f"a scorer with {self._deployment.python} cannot be started: {error}") from None
        except BaseException:
            await self.kill()
            raise
        finally:
            self._hub.forget(self)

    def _prepare(self, folder: Path, log: Path) -> None:
        (folder / "work").mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > LARGEST_LOG:
            log.replace(log.with_suffix(".log.1"))
        given_up = disagreement(self._home, self._deployment.id)
        spec = {
            "compile": self._deployment.compile and given_up is None,
            "why_not_compiled": given_up["why"] if given_up else "",
            "token": self.token, "parent_pid": os.getpid(), "kind": self._deployment.kind,
            "log": None if self._secrets else str(log),
            "model_dir": self._deployment.model_dir, "code_dir": self._deployment.code_dir,
            "scoring_script": self._deployment.scoring_script,
            "signature": checkers.normal(self._deployment.signature),
            "collections": self._deployment.collect.collections,
            "kits": str(paths.kits(self._home)), "cache": str(folder / "compiled"),
        }  # fmt: skip
        self._spec = folder / f"spec-{self.token[:8]}.json"
        self._spec.write_bytes(orjson.dumps(spec))

    async def _spawn(self, folder: Path, log: Path) -> None:
        parent = model_parent(folder, Path(self._deployment.model_dir)) if self._deployment.kind == "script" else None
        with open(log, "ab") as file:
            output, errors_to = (asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT) if self._secrets else (file, file)
            self._process = await asyncio.create_subprocess_exec(
                self._deployment.python, str(SERVE), "--socket", str(paths.scorer_socket(self._home)),
                "--spec", str(self._spec), cwd=folder / "work", stdin=asyncio.subprocess.DEVNULL, stdout=output,
                stderr=errors_to, env=environment.of_scorer(self._deployment, parent) | self._more(),
                start_new_session=True,
            )  # fmt: skip
        if self._process.stdout is not None:
            self._pump = asyncio.create_task(self._write_log(self._process.stdout, log))
        self._reaper = asyncio.create_task(self._reap(self._process, log))

    async def _reap(self, process: asyncio.subprocess.Process, log: Path) -> None:
        code = await process.wait()
        if self._pump is not None:
            await asyncio.wait({self._pump}, timeout=LAST_WORDS_SECONDS)
        self._spec.unlink(missing_ok=True)
        if not self._loaded.done():
            how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
            kind = Killed if code == -signal.SIGKILL else errors.Failed
            why = " (the system does that when memory runs out)" if kind is Killed else ""
            self._loaded.set_exception(kind(f"the scorer ended {how} before its model was ready{why}", cure=tail(log)))
        self.ended.set()
        self._tell()

    def _more(self) -> dict[str, str]:
        """Its secrets, and, since it prints into a pipe then, what it does to its output by itself otherwise."""
        return {"PYTHONIOENCODING": "utf-8:backslashreplace", **self._secrets} if self._secrets else {}

    async def _write_log(self, printed: asyncio.StreamReader, log: Path) -> None:
        """Without its secrets, what the scorer prints."""
        masker = masking.Masker(self._secrets.values())
        with open(log, "ab", buffering=0) as file:
            while data := await printed.read(_CHUNK):
                with contextlib.suppress(OSError):  # a full disk loses the log, and must not stop the scorer
                    file.write(masker.feed(data))
            with contextlib.suppress(OSError):
                file.write(masker.end())

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            self._died(self)

    def received(self, header: dict[str, Any], body: bytes) -> None:
        op = header.get("op")
        if op in ("answer", "piece"):
            super().received(header, body)
        elif op == "collected":
            self._collected(header, body)
        elif op == "disagreed":
            self._disagreed(header)
        elif op == "ready" and not self._loaded.done():
            self._loaded.set_result(header["description"])
        elif op == "failed" and not self._loaded.done():
            report = self.masked(header["error"])
            self._loaded.set_exception(
                errors.Failed(f"{report['kind']}: {report['message']}", details=report["traceback"])
            )

    def lost(self) -> None:
        """The connection is gone, and with it every answer: make sure the process is, too."""
        self._transport = None
        self._signal(signal.SIGKILL)
        self._tell()

    def too_large(self, held: int, most: int) -> None:
        """It is ended for the memory that it holds; while its model loads, that is why it does not start."""
        if not self._loaded.done():
            self._loaded.set_exception(
                errors.Failed(
                    f"the scorer held {held >> 20} MiB while its model loaded, more than the {most >> 20} MiB allowed",
                    cure="Load less, or allow more memory for each scorer.",
                )
            )
        self.lost()

    def join(self, socket: Path) -> None:
        """Answer the process that listens there, too."""
        if self._transport is not None:
            self.write(wire.to_scorer({"op": "join", "socket": str(socket)}))

    def give_up_plan(self, why: str) -> None:
        if self._transport is not None:
            self.write(wire.to_scorer({"op": "native", "why": why}))

    async def stop(self) -> None:
        if self._process is None or self.ended.is_set():
            return
        if self._transport is not None:
            self.write(wire.to_scorer({"op": "stop"}))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.ended.wait(), STOP_SECONDS)
        await self.kill()

    async def kill(self) -> None:
        self._signal(signal.SIGKILL)
        if self._process is not None:
            await self.ended.wait()

    def _signal(self, number: int) -> None:
        """To the whole group: a script may have started processes of its own."""
        if self._process is not None and not self.ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def disagreement(home: Path, deployment_id: str) -> dict[str, Any] | None:
    """``{"why", "difference", "at"}`` once a plan of this deployment gave another answer than its model."""
    try:
        found: dict[str, Any] = orjson.loads(paths.disagreement(home, deployment_id).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, orjson.JSONDecodeError) as error:  # half written when the power went: it was there all the same
        return {"why": f"a plan disagreed with its model; the record of it cannot be read: {error}"}
    return found


def model_parent(folder: Path, model: Path) -> Path:
    """The folder for AZUREML_MODEL_DIR: the model's parent if nothing else is in it, else one of our own with a
    link to the model under its own name (scripts may list the folder and take the first thing)."""
    if len(os.listdir(model.parent)) == 1:
        return model.parent
    parent = folder / "model"
    parent.mkdir(parents=True, exist_ok=True)
    link = parent / model.name
    if not link.is_symlink():
        with contextlib.suppress(FileExistsError):
            link.symlink_to(model)
    return parent


def tail(log: Path, lines: int = 20) -> str:
    try:
        text = log.read_bytes()[-8000:].decode(errors="replace")
    except OSError:
        return ""
    return "the end of its log: " + " | ".join(text.strip().splitlines()[-lines:])
