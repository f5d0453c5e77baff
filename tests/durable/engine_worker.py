"""A worker process for the engine's tests: runs the workflow ``story`` and says on standard output what it does."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from doubleloop.db import engine as engines
from doubleloop.db import tables
from doubleloop.db.context import Contexts
from doubleloop.durable import engine


def main(home: Path, threads: int) -> None:
    database = engines.create(f"sqlite:///{home / 'doubleloop.sqlite'}")
    tables.METADATA.create_all(database)

    def note(text: str) -> str:
        with (home / "log").open("a") as file:
            file.write(text + "\n")
        return text

    async def story(flow, argument):  # type: ignore[no-untyped-def]
        await flow.step("first", note, f"{flow.id} first")
        heard = await flow.wait("go", 120)
        await flow.step("second", note, f"{flow.id} second {heard}")
        return heard

    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    made = engine.Engine(
        Contexts(database, {}), {"story": story}, url=f"sqlite:///{home / 'durable.sqlite'}", max_threads=threads,
        poll_interval=0.05,
    )  # fmt: skip
    made.launch()
    print("ready", flush=True)
    stopping.wait()
    made.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
