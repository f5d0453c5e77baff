"""One command as several processes, and a script over mini-batches, as real processes of this machine."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from doubleloop.compute import local, model


@pytest.fixture
def compute(tmp_path: Path) -> local.LocalCompute:
    return local.LocalCompute(tmp_path / "home")


def ended(compute: local.LocalCompute, run: model.StepRun) -> model.Status:
    compute.start(run)
    status = compute.wait(run.id, 120)
    assert status.state.ended, compute.logs(run.id)
    return status


def distributed(command: str, **launcher: Any) -> model.StepRun:
    return model.StepRun(
        "r", command, Path(sys.executable), launcher={"program": "distributed", "nodes": 1, **launcher}, grace_s=1
    )


def lines(compute: local.LocalCompute) -> list[str]:
    return sorted(compute.logs("r").decode().splitlines())


def test_each_pytorch_process_knows_its_rank_and_where_the_others_are(compute: local.LocalCompute) -> None:
    command = "echo $RANK/$WORLD_SIZE $LOCAL_RANK/$LOCAL_WORLD_SIZE $NODE_RANK $MASTER_ADDR; echo port $MASTER_PORT"
    status = ended(compute, distributed(command, kind="pytorch", nodes=2, processes=2))
    assert status.state is model.State.SUCCEEDED, compute.logs("r")
    told = [line for line in lines(compute) if "port" not in line]
    assert told == [
        "[rank 0] 0/4 0/2 0 127.0.0.1", "[rank 1] 1/4 1/2 0 127.0.0.1", "[rank 2] 2/4 0/2 1 127.0.0.1",
        "[rank 3] 3/4 1/2 1 127.0.0.1",
    ]  # fmt: skip
    assert len({line.rpartition(" ")[2] for line in lines(compute) if "port" in line}) == 1
    own = compute.code("r") / "logs" / "std_log_process_002.txt"
    assert own.read_text().startswith("2/4 0/2 1 127.0.0.1\n")


def test_processes_of_a_group_meet_over_the_address_they_are_told(compute: local.LocalCompute) -> None:
    """A rendezvous as torch.distributed does it: rank 0 listens, the others connect and send their rank."""
    script = """
import os, socket, sys, time
rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
if rank == 0:
    server = socket.create_server(place); got = []
    for _ in range(size - 1):
        peer, _ = server.accept(); got.append(int(peer.recv(10)))
    print("met", sorted(got))
else:
    for _ in range(200):
        try: peer = socket.create_connection(place); break
        except OSError: time.sleep(0.05)
    peer.sendall(str(rank).encode())
"""
    status = ended(compute, distributed(f"python -c '{script}'", kind="pytorch", processes=3))
    assert status.state is model.State.SUCCEEDED, compute.logs("r")
    assert "[rank 0] met [1, 2]" in lines(compute)


def test_mpi_processes_see_open_mpis_variables(compute: local.LocalCompute) -> None:
    command = "echo $OMPI_COMM_WORLD_RANK $OMPI_COMM_WORLD_SIZE $OMPI_COMM_WORLD_LOCAL_RANK $OMPI_COMM_WORLD_LOCAL_SIZE"
    ended(compute, distributed(command, kind="mpi", nodes=2, processes=1))
    assert lines(compute) == ["[rank 0] 0 2 0 1", "[rank 1] 1 2 0 1"]


def test_tensorflow_processes_get_their_cluster_and_servers_end_with_the_workers(compute: local.LocalCompute) -> None:
    # Workers wait for the server, which would be stopped before it has said a word.
    command = (
        'echo "$TF_CONFIG"; case "$TF_CONFIG" in *\'"type": "ps"\'*) touch here; sleep 1000;; '
        "*) until [ -e here ]; do sleep 0.02; done;; esac"
    )
    status = ended(compute, distributed(command, kind="tensorflow", workers=2, servers=1))
    assert status.state is model.State.SUCCEEDED, compute.logs("r")
    told = {
        line.split("] ")[0][1:]: json.loads(line.split("] ", 1)[1]) for line in lines(compute) if "cluster" in line
    }  # fmt: skip
    assert set(told) == {"worker 0", "worker 1", "ps 0"}
    assert told["worker 1"]["task"] == {"type": "worker", "index": 1}
    assert {len(each["cluster"]["worker"]) for each in told.values()} == {2}
    assert len({json.dumps(each["cluster"]) for each in told.values()}) == 1


def test_one_that_fails_ends_the_group_with_its_code(compute: local.LocalCompute) -> None:
    status = ended(compute, distributed("[ $RANK = 1 ] && exit 7; sleep 1000", kind="pytorch", processes=3))
    assert status.exit is not None and status.exit.exit_code == 7
    assert "rank 1 ended with code 7; the others are stopped" in compute.logs("r").decode()


def test_ray_that_is_not_in_the_environment_is_named(compute: local.LocalCompute) -> None:
    launcher = {"kind": "ray", "port": 0, "address": "", "dashboard": False, "dashboard_port": 0,
                "head_arguments": "", "worker_arguments": ""}  # fmt: skip
    status = ended(compute, distributed("echo never", **launcher))
    assert status.exit is not None and status.exit.exit_code == 69
    assert "ray is not in the step's environment" in compute.logs("r").decode()


# -- mini-batches ------------------------------------------------------------------------------------------------------


def batches(tmp_path: Path, text: str, **more: Any) -> model.StepRun:
    code = tmp_path / "code"
    code.mkdir(exist_ok=True)
    (code / "score.py").write_text(textwrap.dedent(text))
    (code / "helper.py").write_text("NAME = 'helper'\n")
    launcher = {
        "program": "parallel", "script": "score.py", "arguments": "", "inputs": [], "workers": 2, "size": "",
        "keys": [],
        "retries": 0, "timeout_s": 60, "error_threshold": -1, "batch_error_threshold": -1, "logging_level": "INFO",
        "rows_path": str(tmp_path / "rows.txt"), **more,
    }  # fmt: skip
    return model.StepRun("r", "", Path(sys.executable), code=code, launcher=launcher, grace_s=1)


def files(tmp_path: Path, count: int) -> list[dict[str, Any]]:
    folder = tmp_path / "data" / "inner"
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number:02}.txt").write_text(str(number))
    return [{"name": "data", "path": str(tmp_path / "data"), "table": None}]


def summary(compute: local.LocalCompute) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((compute.code("r") / "logs" / "parallel_summary.json").read_text())
    return found


def test_files_come_in_batches_and_rows_go_out_in_their_order(compute: local.LocalCompute, tmp_path: Path) -> None:
    script = """
    import argparse, pathlib, sys
    import helper
    def init():
        global factor
        parser = argparse.ArgumentParser()
        parser.add_argument("--factor", type=int)
        factor = parser.parse_known_args()[0].factor
    def run(mini_batch):
        assert helper.NAME == "helper" and len(mini_batch) <= 3
        return [f"{pathlib.Path(file).name}: {int(open(file).read()) * factor}" for file in mini_batch]
    """
    run = batches(tmp_path, script, inputs=files(tmp_path, 10), size="3", arguments="--factor 10 --unknown 1")
    status = ended(compute, run)
    assert status.state is model.State.SUCCEEDED, compute.logs("r").decode()
    assert (tmp_path / "rows.txt").read_text().splitlines() == [f"{n:02}.txt: {n * 10}" for n in range(10)]
    found = summary(compute)
    assert (found["mini_batches"], found["succeeded"], found["items"], found["rows"]) == (4, 4, 10, 10)


FLAKY = """
import os, pathlib, time
def run(mini_batch):
    name = pathlib.Path(mini_batch[0]).name
    tried = pathlib.Path("PLACE") / name
    times = len(tried.read_text()) if tried.exists() else 0
    tried.write_text("x" * (times + 1))
    if name == "01.txt" and times < 1: raise ValueError("not yet")
    if name == "02.txt" and times < 1: os._exit(3)
    if name == "03.txt" and times < 1: time.sleep(100)
    if name == "04.txt": raise ValueError("never")
    return [name]
"""


@pytest.mark.slow
def test_a_batch_that_fails_dies_or_takes_too_long_is_tried_again(compute: local.LocalCompute, tmp_path: Path) -> None:
    (tmp_path / "tries").mkdir()
    script = FLAKY.replace("PLACE", str(tmp_path / "tries"))
    run = batches(
        tmp_path, script, inputs=files(tmp_path, 6), size="1", retries=1, timeout_s=2, batch_error_threshold=1
    )
    status = ended(compute, run)
    assert status.state is model.State.SUCCEEDED, compute.logs("r").decode()
    assert (tmp_path / "rows.txt").read_text().split() == ["00.txt", "01.txt", "02.txt", "03.txt", "05.txt"]
    found = summary(compute)
    assert (found["succeeded"], found["failed"], found["retried"], found["failed_items"]) == (5, 1, 4, 1)
    assert found["failures"][0]["error"] == "ValueError: never"


@pytest.mark.parametrize(
    ("script", "more", "says"),
    [
        ("def run(b): raise ValueError('no')", {"batch_error_threshold": 1}, "more than mini_batch_error_threshold: 1"),
        ("def run(b): return b[:1]", {"error_threshold": 3}, "items failed, more than error_threshold: 3"),
        ("def run(b): raise ValueError('no')", {"arguments": "--allowed_failed_percent 30"}, "more than 30 %"),
        ("def init(): raise OSError('no model')\ndef run(b): return b", {}, "init() failed: OSError: no model"),
        ("def run(b): return 'text'", {"batch_error_threshold": 0}, "run() returned str"),
        ("x = 1", {}, "has no function run(mini_batch)"),
        ("def run(b): return b", {"script": "absent.py"}, "absent.py is not in the code folder"),
        ("def run(b): return b", {"inputs": [{"name": "d", "path": "/absent", "table": None}]}, "holds nothing"),
    ],
)  # fmt: skip
def test_too_many_failures_fail_the_run_and_say_why(
    compute: local.LocalCompute, tmp_path: Path, script: str, more: dict[str, Any], says: str
) -> None:
    status = ended(compute, batches(tmp_path, script, **{"inputs": files(tmp_path, 8), "size": "2", **more}))
    assert status.state is model.State.FAILED
    assert says in compute.logs("r").decode()


def test_a_table_is_divided_by_the_values_of_its_keys(compute: local.LocalCompute, tmp_path: Path) -> None:
    table = tmp_path / "table"
    table.mkdir()
    (table / "sales.csv").write_text("store;brand;n\n2;a;1\n1;b;2\n1;a;3\n2;a;4\n")
    read = {"paths": [{"file": "./sales.csv"}], "transformations": [{"read_delimited": {"delimiter": ";"}}]}
    script = """
    def run(frame, mini_batch_context):
        key = mini_batch_context.partition_key_value
        return frame.assign(of=f"{key['store']}{key['brand']}", total=frame.n.sum()).head(1)[["of", "total"]]
    """
    inputs = [{"name": "sales", "path": str(table), "table": read}]
    status = ended(compute, batches(tmp_path, script, inputs=inputs, keys=["store", "brand"]))
    assert status.state is model.State.SUCCEEDED, compute.logs("r").decode()
    assert (tmp_path / "rows.txt").read_text().splitlines() == ["1a 3", "1b 2", "2a 5"]


def test_a_table_is_divided_by_size(compute: local.LocalCompute, tmp_path: Path) -> None:
    table = tmp_path / "table"
    table.mkdir()
    (table / "a.csv").write_text("x\n" + "".join(f"{n:09}\n" for n in range(3000)))
    read = {
        "paths": [{"pattern": "./*.csv"}],
        "transformations": ["read_delimited", {"take": 2000}, {"convert_column_types": [
            {"columns": "x", "column_type": "float"}]}],
    }  # fmt: skip
    script = "def run(frame):\n    return [f'{len(frame)} {frame.x.dtype}']"
    inputs = [{"name": "t", "path": str(table), "table": read}]
    status = ended(compute, batches(tmp_path, script, inputs=inputs, size="3kb"))
    assert status.state is model.State.SUCCEEDED, compute.logs("r").decode()
    counted = [line.split() for line in (tmp_path / "rows.txt").read_text().splitlines()]
    assert sum(int(count) for count, _ in counted) == 2000 and len(counted) > 2
    assert {kind for _, kind in counted} == {"float64"}


def test_columns_of_a_table_come_from_its_paths(compute: local.LocalCompute, tmp_path: Path) -> None:
    for store, brand in (("2", "a"), ("5", "b")):
        (tmp_path / "table" / store / brand).mkdir(parents=True)
        (tmp_path / "table" / store / brand / "part.csv").write_text("n\n1\n2\n")
    read = {
        "paths": [{"pattern": "./**/*.csv"}],
        "transformations": [
            {"read_delimited": {"delimiter": ",", "include_path_column": True}},
            {"extract_columns_from_partition_format": {"partition_format": "{Store}/{Brand}/{file}.{ending}"}},
            {"drop_columns": ["Path", "file", "ending"]},
        ],
    }
    script = (
        "def run(frame, mini_batch_context):\n    return [f'{mini_batch_context.partition_key_value} {list(frame)}']"
    )
    inputs = [{"name": "t", "path": str(tmp_path / "table"), "table": read}]
    status = ended(compute, batches(tmp_path, script, inputs=inputs, keys=["Store", "Brand"]))
    assert status.state is model.State.SUCCEEDED, compute.logs("r").decode()
    assert (tmp_path / "rows.txt").read_text().splitlines() == [
        "{'Store': '2', 'Brand': 'a'} ['n', 'Store', 'Brand']", "{'Store': '5', 'Brand': 'b'} ['n', 'Store', 'Brand']",
    ]  # fmt: skip
