from __future__ import annotations

from datetime import date

import pandas as pd
import prep
import pytest
from columns import COLUMNS, held_out


def hours(first: str, last: str) -> pd.DataFrame:
    """Made-up rows, one for each hour from the first to the last day, without the days of the hold-out."""
    ts = pd.date_range(first, pd.Timestamp(last) + pd.Timedelta(hours=23), freq="h")
    table = pd.DataFrame({"ts": ts, "hour": ts.hour, "weekday": ts.dayofweek, "workingday": 1, "tmin": 5.0})
    table = table.assign(tmax=15.0, pn=0.0, day_type="working day", count=range(len(ts)))
    return table[[not held_out(day) for day in ts.date]][COLUMNS]


def test_a_day_in_ten_is_held_out_and_every_weekday_comes_up() -> None:
    first = date(2012, 1, 1).toordinal()
    kept = [day for day in map(date.fromordinal, range(first, first + 366)) if held_out(day)]
    assert len(kept) in (36, 37)
    assert {day.weekday() for day in kept} == set(range(7))


def test_training_data_with_a_day_of_the_hold_out_is_refused() -> None:
    leaked = hours("2012-01-01", "2012-01-31").assign(ts=lambda rows: rows["ts"] + pd.Timedelta(days=1))
    with pytest.raises(SystemExit, match="days of the hold-out are in the training data"):
        prep.refuse_hold_out(leaked)
    prep.refuse_hold_out(hours("2012-01-01", "2012-01-31"))


def test_the_newest_months_are_counted_back_from_the_last_day() -> None:
    kept = prep.newest(hours("2012-01-01", "2012-12-31"), 9)
    assert str(kept["ts"].min()) == "2012-04-01 00:00:00"


def test_what_is_judged_comes_after_everything_that_is_fitted() -> None:
    fitted, judged = prep.split(hours("2012-01-01", "2012-03-31"), 14)
    assert fitted["ts"].max() < judged["ts"].min()
    assert str(judged["ts"].max().date()) == "2012-03-31"
    assert judged["ts"].min() >= pd.Timestamp("2012-03-18")
    assert len(fitted) + len(judged) == len(hours("2012-01-01", "2012-03-31"))


def test_a_missing_column_is_named(tmp_path) -> None:
    hours("2012-01-01", "2012-01-02").drop(columns="tmax").to_csv(tmp_path / "data.csv", index=False)
    with pytest.raises(SystemExit, match="lacks the columns tmax"):
        prep.read(str(tmp_path / "data.csv"))
