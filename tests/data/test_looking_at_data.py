"""A first look at a data version, by those who may read it."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from typing import Any

import polars as pl
import pytest

from doubleloop.base import actors, canonical, errors
from doubleloop.data import commands, looking, queries
from doubleloop.storage import ports as storage


@pytest.fixture
def rides(house: Any) -> Any:
    blobs = house.contexts.port(storage.Blobs)
    frame = pl.DataFrame({"hour": [at % 24 for at in range(240)], "count": [float(at) for at in range(240)]})
    for table in (frame, frame.with_columns(pl.col("count") + 500).head(100)):
        reference = commands.store_bytes(blobs, "rides.csv", table.write_csv().encode())
        with house.write() as ctx:
            commands.add_version(ctx, "rides", reference, "uri_file")
    return house


def test_a_version_is_described_and_compared_with_another(rides: Any) -> None:
    actor = actors.named("ada")
    found = queries.explore(rides.contexts, actor, "dev", "rides:2", "count", "rides:1")
    assert (found["data"].rpartition(":")[2], found["rows"]) == ("2", 100)
    assert [each["name"] for each in found["columns"]] == ["hour", "count"]
    assert found["comparison"]["rows"] == {"before": 240, "after": 100}
    assert found["comparison"]["moved"][0]["column"] == "count"
    assert "comparison" not in queries.explore(rides.contexts, actor, "dev", "rides@latest")
    canonical.dumps(found)
    with pytest.raises(errors.InvalidInput, match="'ghost'"):
        queries.explore(rides.contexts, actor, "dev", "rides", "ghost")


def test_who_may_not_read_data_does_not_see_what_it_holds(rides: Any) -> None:
    with pytest.raises(errors.NotPermitted):
        queries.explore(rides.contexts, actors.named("mallory"), "dev", "rides")


def test_what_is_no_table_says_so(house: Any) -> None:
    reference = commands.store_bytes(house.contexts.port(storage.Blobs), "photo.png", b"\x89PNG\r\n")
    with house.write() as ctx:
        commands.add_version(ctx, "photo", reference, "uri_file")
    with pytest.raises(errors.InvalidInput, match=r"photo\.png"):
        queries.explore(house.contexts, actors.named("ada"), "dev", "photo")


def test_a_large_table_is_looked_at_in_a_process_of_its_own_that_ends_when_nobody_waits(
    rides: Any, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    asked = (rides.contexts, actors.named("ada"), "dev", "rides:2", "count", "rides:1")
    here = queries.explore(*asked)
    monkeypatch.setattr(queries, "APART_BYTES", 0)
    begun: list[Any] = []

    class Watched(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            begun.append(self)

    monkeypatch.setattr(looking.subprocess, "Popen", Watched)
    said: list[str] = []
    apart = queries.explore(*asked, progress=said.append)
    assert json.loads(canonical.dumps(apart)) == json.loads(canonical.dumps(here))
    assert said == ["reading rides.csv", "looking at 100 rows of 2 columns", "comparing with rides.csv"]
    with pytest.raises(errors.InvalidInput, match="'ghost'"):
        queries.explore(*asked[:4], "ghost")

    stop = threading.Event()
    with pytest.raises(errors.Unavailable, match="nobody waits for it"):
        queries.explore(*asked, progress=lambda text: stop.set(), stop=stop)
    assert begun[-1].returncode == -signal.SIGKILL, "it is killed, and nothing is left of it"
    monkeypatch.setattr(queries, "MOST_BYTES", "many")  # what no process can take for a number
    with pytest.raises(errors.Unavailable, match=r"came to no end \(exit code 1\)"):
        queries.explore(*asked)

    with queries._ONE_AT_A_TIME:
        waiting = threading.Event()
        with pytest.raises(errors.Unavailable, match="nobody waits for it"):
            queries.explore(*asked, progress=lambda text: (said.append(text), waiting.set())[1], stop=waiting)
    assert said[-1] == "another table is being looked at"
