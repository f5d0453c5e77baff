"""What turns the log into Parquet takes no processor time from answers, whatever session it leads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def test_the_process_and_its_session_are_nice(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "doubleloop.gateway.rotation"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"segment": str(tmp_path / "none"), "wait": False}).encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["segment"] == str(tmp_path / "none")
        place = Path("/proc", str(process.pid))
        assert place.joinpath("stat").read_text().rpartition(")")[2].split()[16] == "15"
        group = place / "autogroup"
        if not group.exists():
            pytest.skip("this kernel has no autogroups")
        assert group.read_text().split()[-2:] == ["nice", "15"]
    finally:
        process.communicate(timeout=30)
