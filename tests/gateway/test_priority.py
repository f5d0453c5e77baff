"""Answers before all other work of the machine, where that is wanted and allowed."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest
from gateway_harness import Gateway, endpoint, processes, wait_for

from doubleloop.base import priority

REALTIME = os.SCHED_RR | os.SCHED_RESET_ON_FORK


def fronts(gateway: Gateway) -> list[int]:
    return [pid for pid, said in processes() if "gateway.front" in said and str(gateway.home) in said]


def allowed() -> bool:
    """Asked in a process of its own, which may not come back from it."""
    code = "from doubleloop.base import priority; priority.realtime(); assert priority.is_realtime()"
    return subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_what_answers_is_realtime_and_what_it_starts_is_not(gateway: Gateway, script):
    if not allowed():
        pytest.skip("this user may not have real-time priority")
    gateway.options |= {"priority": "realtime", "processes": 2}
    gateway.start()
    gateway.want({"shop/bikes": endpoint({"blue": script("blue")})})
    front = wait_for(lambda: fronts(gateway), "the other process")[0]
    for pid in (gateway.process.pid, front):
        wait_for(lambda pid=pid: os.sched_getscheduler(pid) == REALTIME, "real-time priority")
    assert [os.sched_getscheduler(pid) for pid in gateway.scorers()] == [os.SCHED_OTHER]


def test_without_the_right_to_it_the_gateway_answers_as_it_otherwise_would(tmp_path):
    if resource.getrlimit(resource.RLIMIT_RTPRIO)[1] != 0:
        pytest.skip("every process of this user may have real-time priority")
    home = tmp_path / "home"
    home.mkdir()
    drop = ["setpriv", "--inh-caps=-sys_nice", "--bounding-set=-sys_nice"] if os.geteuid() == 0 else []
    command = [*drop, sys.executable, "-m", "doubleloop.gateway", "--home", str(home), "--priority", "realtime"]
    with open(tmp_path / "log", "wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        wait_for(lambda: (home / "serving" / "address.json").exists() or process.poll() is not None, "its address")
        assert process.poll() is None
        assert os.sched_getscheduler(process.pid) == os.SCHED_OTHER
        text = (tmp_path / "log").read_text()
        assert "the system does not allow real-time priority" in text
        assert "LimitRTPRIO=1" in text
    finally:
        process.terminate()
        process.wait(60)


def test_this_process_is_ordinary():
    assert not priority.is_realtime()
