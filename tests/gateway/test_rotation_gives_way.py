"""What turns the log into Parquet takes no processor time from answers, and is not put off for ever by others."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path

from test_segments import record, write_segment

from doubleloop.gateway import converter, log


def niceness(pid: int) -> str:
    return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[16]


def shares(working: converter.Converter) -> bool:
    """Whether its process has a share of its own, a small one."""
    try:
        pid = working._process.pid
        return os.sched_getscheduler(pid) == os.SCHED_OTHER and niceness(pid) == str(converter.NICE)
    except (AttributeError, OSError):  # between one and the next
        return False


async def until(condition) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def test_it_is_interrupted_by_whatever_else_runs(tmp_path):
    async def converted():
        working = converter.Converter()
        working.start()
        working.add(write_segment(tmp_path, [record(1)]))
        await working.flush()
        pid = working._process.pid
        assert (os.sched_getscheduler(pid), niceness(pid)) == (os.SCHED_IDLE, str(converter.NICE))
        assert os.getsid(pid) == os.getsid(0)  # in another session it would have a share of its own (autogroups)
        await working.stop()
        return working

    assert asyncio.run(converted()).done == 1
    assert log.read(tmp_path, "shop", "bikes", "blue").height == 2


def test_where_that_takes_too_long_it_gets_a_share_until_nothing_is_late(tmp_path, monkeypatch):
    monkeypatch.setattr(converter, "PATIENCE", 0.001)

    async def converted():
        working = converter.Converter()
        working.start()
        first = write_segment(tmp_path, [record(1)])
        with open(first) as held:
            fcntl.flock(held, fcntl.LOCK_EX)  # so that it cannot be converted before it was looked at
            working.add(first)
            await until(lambda: shares(working))
        await working.flush()
        assert (working.done, working.failed) == (1, {})
        await until(lambda: not working._late)
        monkeypatch.setattr(converter, "PATIENCE", 60.0)
        working.add(write_segment(tmp_path, [record(2)]))
        await working.flush()
        assert os.sched_getscheduler(working._process.pid) == os.SCHED_IDLE
        await working.stop()
        return working

    assert asyncio.run(converted()).done == 2
    assert log.read(tmp_path, "shop", "bikes", "blue").height == 4
