"""A segment becomes Parquet exactly once, whichever step the process is killed at."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import polars
import pytest

from doubleloop.gateway import limits, log, paths, records, segments, wal

INPUTS = (
    {"type": "double", "name": "a", "required": True},
    {"type": "long", "name": "b", "required": False},
    {"type": "datetime", "name": "c", "required": False},
    {"type": "binary", "name": "d", "required": False},
)
HEADER = records.Header("shop", "bikes", "blue", "dep-1", "bikes", "3", "columns", INPUTS, ({"type": "double"},))


class Killed(Exception):
    """Stands for the end of the process at this very step."""


def record(number: int, **more: Any) -> bytes:
    base: dict[str, Any] = {
        "request_id": f"request-{number}", "event_us": 1_400_000_000_000_000 + number, "received_us": 2 * 10**15,
        "status": 200, "latency_ms": 1.5, "rows": 2, "inputs": b'[[1.5,3],[2,null],[1000000,null],["YWI=",null]]',
        "output": b"[1,2.5]",
    }  # fmt: skip
    return records.encode(records.Record(**(base | more)))


def write_segment(home: Path, lines: list[bytes], header: records.Header = HEADER) -> Path:
    closed: list[Path] = []
    folder = paths.deployment_log(home, "shop", "bikes", "blue") / "wal"
    journal = wal.Log(folder, records.encode_header(header), limits.Limits(), closed.append)
    for line in lines:
        journal.append(line)
    journal.rotate()
    return closed[0]


def recover(home: Path) -> None:
    for segment in wal.leftovers(paths.inference(home)):
        segments.convert(segment)


def test_types_come_from_the_signature(tmp_path: Path) -> None:
    result = segments.convert(write_segment(tmp_path, [record(1), record(2, status=500, error="e", output=None)]))
    assert (result.rows, result.torn) == (4, 0)
    rows = log.read(tmp_path, "shop", "bikes", "blue")
    assert rows["in.a"].to_list() == [1.5, 3.0] * 2
    assert rows["in.b"].to_list() == [2, None] * 2
    assert str(rows["in.c"][0]) == "1970-01-01 00:00:00.001000"
    assert rows["in.d"].to_list() == [b"ab", None] * 2
    assert rows["out.prediction"].to_list() == [1.0, 2.5, None, None]
    assert rows["error"].to_list() == [None, None, "e", "e"]


STEPS = ["write", "sync the file", "rename", "sync the folder", "delete", "after the delete"]


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_neither_loses_nor_doubles_a_row(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = write_segment(tmp_path, [record(number) for number in range(10)])
    calls = {"fsync": 0}
    real = {"replace": os.replace, "fsync": os.fsync, "unlink": Path.unlink}

    def replace(*args: Any) -> None:
        if step == "rename":
            raise Killed
        real["replace"](*args)

    def fsync(fd: int) -> None:
        calls["fsync"] += 1
        if step == ("", "sync the file", "sync the folder", "after the delete")[min(calls["fsync"], 3)]:
            raise Killed
        real["fsync"](fd)

    def unlink(self: Path, missing_ok: bool = False) -> None:
        if step == "delete":
            raise Killed
        real["unlink"](self, missing_ok)

    def write_table(table: Any, target: Path, **_: Any) -> None:
        Path(target).write_bytes(b"PAR1 half a file")
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        patch.setattr(os, "fsync", fsync)
        patch.setattr(Path, "unlink", unlink)
        if step == "write":
            patch.setattr("pyarrow.parquet.write_table", write_table)
        with pytest.raises(Killed):
            segments.convert(segment)
    readable = log.read(tmp_path, "shop", "bikes").height  # a reader meanwhile sees all or nothing
    assert readable in (0, 20)
    recover(tmp_path)
    recover(tmp_path)
    rows = log.read(tmp_path, "shop", "bikes")
    assert rows.height == 20
    assert rows.select("request_id", "row").is_unique().all()
    assert not segment.exists()
    assert len(list(paths.inference(tmp_path).rglob("*.parquet"))) == 1


def test_a_cut_last_line_costs_only_itself(tmp_path: Path) -> None:
    segment = write_segment(tmp_path, [record(1), record(2)])
    with open(segment, "r+b") as file:
        file.truncate(segment.stat().st_size - 10)
    result = segments.convert(segment)
    assert (result.rows, result.torn) == (2, 1)


def test_zeros_that_a_power_loss_left_cost_only_themselves(tmp_path: Path) -> None:
    segment = write_segment(tmp_path, [record(1)])
    with open(segment, "ab") as file:
        file.write(b"\0" * 500 + b"\n" + record(3))
    result = segments.convert(segment)
    assert (result.rows, result.torn) == (4, 1)


def test_a_segment_without_a_readable_header_is_set_aside_not_deleted(tmp_path: Path) -> None:
    segment = write_segment(tmp_path, [record(1)])
    segment.write_bytes(b"\0" * 100)
    assert segments.convert(segment).parquet is None
    assert segment.with_name(segment.name + segments.BAD).exists()
    assert wal.leftovers(paths.inference(tmp_path)) == []


@pytest.mark.parametrize("written", [b"", b'{"workspace": "sho'])
def test_a_segment_that_was_never_begun_is_removed(tmp_path: Path, written: bytes) -> None:
    """Killed between making the file and writing its header: there is no record in it."""
    segment = write_segment(tmp_path, [record(1)])
    segment.write_bytes(written)
    result = segments.convert(segment)
    assert (result.parquet, result.rows, result.torn, result.skipped) == (None, 0, 0, False)
    assert not list(segment.parent.iterdir())


def test_a_segment_that_another_process_takes_for_a_leftover_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making the file and locking it, a process that clears up may remove it, or hold its lock."""
    real, seen = wal.fcntl.flock, []

    def flock(descriptor: int, how: int) -> None:
        if not seen:
            seen.append(descriptor)
            recover(tmp_path)
        elif len(seen) == 1:
            seen.append(descriptor)
            raise BlockingIOError
        real(descriptor, how)

    folder = paths.deployment_log(tmp_path, "shop", "bikes", "blue") / "wal"
    journal = wal.Log(folder, records.encode_header(HEADER), limits.Limits(), lambda path: None)
    monkeypatch.setattr(wal.fcntl, "flock", flock)
    journal.append(record(1))
    monkeypatch.undo()
    journal.rotate()
    segments.convert(max(folder.iterdir()))
    recover(tmp_path)
    assert log.read(tmp_path, "shop", "bikes")["request_id"].to_list() == ["request-1"] * 2


def test_a_segment_that_is_still_written_is_left_alone(tmp_path: Path) -> None:
    folder = paths.deployment_log(tmp_path, "shop", "bikes", "blue") / "wal"
    segment = wal.Segment(folder, records.encode_header(HEADER))
    segment.append(record(1))
    assert segments.convert(segment.path, wait=False).skipped
    segment.close()
    assert segments.convert(segment.path, wait=True).rows == 2
    assert segments.convert(segment.path).skipped


def test_a_write_that_fails_half_way_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = paths.deployment_log(tmp_path, "shop", "bikes", "blue") / "wal"
    segment = wal.Segment(folder, records.encode_header(HEADER))
    segment.append(record(1))
    real, calls = os.write, []

    def full_disk(fd: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) == 1:
            return real(fd, data[:20])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full_disk)
        with pytest.raises(OSError, match="No space"):
            segment.append(record(2))
    segment.append(record(3))
    segment.close()
    result = segments.convert(segment.path)
    assert (result.rows, result.torn) == (4, 0)
    assert log.read(tmp_path, "shop", "bikes")["request_id"].unique().sort().to_list() == ["request-1", "request-3"]


def test_models_of_different_types_read_together(tmp_path: Path) -> None:
    other = records.Header(
        "shop", "bikes", "blue", "dep-2", "bikes", "4", "columns",
        ({"type": "string", "name": "a"}, {"type": "boolean", "name": "e"}), ({"type": "long"},),
    )  # fmt: skip
    segments.convert(write_segment(tmp_path, [record(1)]))
    segments.convert(write_segment(tmp_path, [record(2, inputs=b'[["x","y"],[true,false]]', output=b"[1,2]")], other))
    rows = log.read(tmp_path, "shop", "bikes")
    assert rows["in.a"].to_list() == ["1.5", "3.0", "x", "y"]
    assert rows["in.e"].to_list() == [None, None, True, False]
    assert rows["out.prediction"].dtype == polars.Float64


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (b"[1,2]", {"out.prediction": [1, 2]}),
        (b'["a",null]', {"out.prediction": ["a", None]}),
        (b"[[0.1,0.9],[0.5,0.5]]", {"out.0": [0.1, 0.5], "out.1": [0.9, 0.5]}),
        (b'[{"x":1,"y":"a"},{"x":2,"y":"b"}]', {"out.x": [1, 2], "out.y": ["a", "b"]}),
        (b'[{"only":1},{"only":2}]', {"out.prediction": [1, 2]}),
        (b'{"result":[1,2]}', {"out.prediction": [1, 2]}),
        (b'"[1, 2]"', {"out.prediction": [1, 2]}),
        (b'"text"', {"out.prediction": ["text", None]}),
        (b'{"total":3}', {"out.prediction": ['{"total":3}', None]}),
        (b"[1,2,3]", {"out.prediction": ["[1,2,3]", None]}),
        (b'[1,"b"]', {"out.prediction": ["1", "b"]}),
    ],
)
def test_outputs_become_columns(output: bytes, expected: dict[str, list[Any]], tmp_path: Path) -> None:
    header = records.Header("shop", "bikes", "blue", "dep-1", "", "", "raw")
    line = record(1, inputs=b'{"data":[[1,2],[3,4]],"other":5}', output=output)
    segments.convert(write_segment(tmp_path, [line], header))
    rows = log.read(tmp_path, "shop", "bikes")
    assert {name: rows[name].to_list() for name in rows.columns if name.startswith("out.")} == expected
    assert rows["in.0"].to_list() == [1, 3]


def test_a_record_that_fits_no_layout_is_kept_as_text_and_harms_no_other(tmp_path: Path) -> None:
    odd = record(2, inputs=b'{"not":"columns"}')
    segments.convert(write_segment(tmp_path, [record(1), odd, record(3)]))
    rows = log.read(tmp_path, "shop", "bikes")
    assert rows["in.a"].to_list() == [1.5, 3.0, None, None, 1.5, 3.0]
    assert rows["in.raw"].to_list()[2] == '{"not":"columns"}'
    assert rows["out.raw"].to_list()[2] == "[1,2.5]"


def test_records_that_lack_columns_stand_beside_whole_ones_in_their_order(tmp_path: Path) -> None:
    lines = [
        record(1),
        record(2, inputs=b'[[9.5],null,null,["YWI="]]', rows=1, output=b"[3]"),
        record(3, inputs=b'[[7.5],[8]]', names=["a", "b"], rows=1, output=b"[4]"),
        record(4, inputs=b'[[1.0],[2],[3000000],["YWI="]]', rows=1, output=b"[5]"),
    ]  # fmt: skip
    assert segments.convert(write_segment(tmp_path, lines)).rows == 5
    rows = log.read(tmp_path, "shop", "bikes", "blue").sort("request_id", "row")
    assert rows["in.a"].to_list() == [1.5, 3.0, 9.5, 7.5, 1.0]
    assert rows["in.b"].to_list() == [2, None, None, 8, 2]
    assert rows["in.d"].to_list() == [b"ab", None, b"ab", None, b"ab"]
    assert rows["out.prediction"].to_list() == [1.0, 2.5, 3.0, 4.0, 5.0]


def test_whole_records_are_the_same_whether_another_is_among_them_or_not(tmp_path: Path) -> None:
    """Records with all columns are laid out column by column, others one by one."""
    whole = [record(1), record(2), record(3)]
    odd = record(4, inputs=b"[[1.0],null,null,null]", rows=1, output=b"[5]")
    together, apart = tmp_path / "a", tmp_path / "b"
    segments.convert(write_segment(together, whole))
    segments.convert(write_segment(apart, [*whole, odd]))
    left, right = (log.read(home, "shop", "bikes", "blue").sort("request_id", "row") for home in (together, apart))
    assert left.equals(right.filter(polars.col("request_id") != "request-4"))


def test_odd_records_are_kept_as_text_and_the_others_as_they_are(tmp_path: Path) -> None:
    lines = [record(number, inputs=b"5") if number in (3, 8) else record(number) for number in range(11)]
    assert segments.convert(write_segment(tmp_path, lines)).rows == 22
    rows = log.read(tmp_path, "shop", "bikes", "blue").sort("request_id", "row")
    odd = rows.filter(polars.col("request_id").is_in(["request-3", "request-8"]))
    assert odd["in.raw"].to_list() == ["5", None] * 2
    assert odd["in.a"].null_count() == 4
    others = rows.filter(~polars.col("request_id").is_in(["request-3", "request-8"]))
    assert others["in.a"].to_list() == [1.5, 3.0] * 9
    assert others["in.raw"].null_count() == 18
