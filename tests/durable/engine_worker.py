"""A worker process for the engine's tests: runs the workflow ``story`` and says in a file what it does.

``kind`` is the release of its code: ``old``; ``new`` has other steps; ``broken`` dies as soon as it is begun anew.
Workflows named in the file ``unfinished`` are looked after; ``databases`` has the URLs of ours and of the engine's own.
"""

from __future__ import annotations

import signal
import sys
import threading
from functools import partial
from pathlib import Path

from doubleloop.db import engine as engines
from doubleloop.db import tables
from doubleloop.db.context import Contexts
from doubleloop.durable import engine, ports, rescuing


def main(home: Path, threads: int, kind: str) -> None:
    own, engines_own = (home / "databases").read_text().split()
    database = engines.create(own)
    tables.METADATA.create_all(database)

    def note(text: str) -> str:
        with (home / "log").open("a") as file:
            file.write(text + "\n")
        return text

    async def story(flow, argument):  # type: ignore[no-untyped-def]
        if kind == "broken":
            raise RuntimeError("it does not work")
        said = "first" if kind == "old" else "first of the new"
        await flow.step(said, note, f"{flow.id} {said}")
        heard = await flow.wait("go", 120)
        await flow.step("second", note, f"{flow.id} second {heard}")
        return heard

    def search(ctx):  # type: ignore[no-untyped-def]
        for name in (home / "unfinished").read_text().split() if (home / "unfinished").exists() else ():
            yield ports.Unfinished(name, "story", {}, partial(give_up, name))

    def give_up(name: str, contexts: Contexts, reason: str) -> None:
        (home / "unfinished").unlink()
        note(f"{name} given up: {reason.splitlines()[0]}")

    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    made = engine.Engine(
        Contexts(database, {}), {"story": story}, url=engines_own, max_threads=threads,
        poll_interval=0.05,
    )  # fmt: skip
    made.launch()
    print("ready", flush=True)
    while not stopping.wait(0.05):
        rescuing.rescue(made, [search])
    made.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
