"""Series, small lines and histograms in the shapes that are drawn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from doubleloop.console import charts

START = datetime(2026, 1, 1, tzinfo=UTC)


def line(
    signal: str, metric: str, column: str, values: list[float | None], threshold: float | None = 1.0
) -> dict[str, Any]:
    points = [
        [START + timedelta(days=day), value, value is not None and threshold is not None and value > threshold]
        for day, value in enumerate(values)
    ]
    return {"signal": signal, "metric": metric, "column": column, "threshold": threshold, "points": points}


def test_one_chart_for_each_signal_and_metric_with_alerts_on_top() -> None:
    found = charts.group(
        [line("drift", "js", "a", [0.1]), line("drift", "js", "b", [0.2]), line("perf", "rmse", "", [2.0])]
    )
    assert [(chart.signal, chart.metric, len(chart.lines), chart.alerts) for chart in found] == [
        ("perf", "rmse", 1, 1), ("drift", "js", 2, 0),
    ]  # fmt: skip
    assert found[0].lines[0]["label"] == "rmse"


def test_lines_of_one_chart_stand_on_the_same_times() -> None:
    late = line("d", "m", "late", [None, 5.0])
    late["points"] = late["points"][1:]
    (chart,) = charts.group([line("d", "m", "whole", [0.5, None]), late])
    by_name = {each["label"]: each for each in chart.lines}
    assert len(chart.times) == 2
    assert by_name["whole"]["values"] == [0.5, None]
    assert by_name["late"]["values"] == [None, 5.0]
    assert by_name["late"]["alerts"] == [None, 5.0]


def test_the_columns_nearest_to_their_threshold_are_drawn_and_the_rest_counted() -> None:
    lines = [line("d", "m", f"c{number}", [number / 10]) for number in range(10)]
    (chart,) = charts.group(lines, most=3)
    assert [each["label"] for each in chart.lines] == ["c9", "c8", "c7"]
    assert chart.hidden == 7


def test_a_threshold_is_drawn_only_when_all_lines_share_it() -> None:
    assert charts.group([line("d", "m", "a", [1], 2.0), line("d", "m", "b", [1], 2.0)])[0].threshold == 2.0
    assert charts.group([line("d", "m", "a", [1], 2.0), line("d", "m", "b", [1], 3.0)])[0].threshold is None


def test_a_chart_says_in_words_what_it_shows() -> None:
    (chart,) = charts.group([line("d", "m", "a", [0.5, 2.0])])
    assert chart.describe() == "m of d, 2 runs; a: from 0.5 to 2; threshold 1; 1 points in alert"


def test_a_small_line_spans_its_box_and_shows_the_threshold_in_reach() -> None:
    found = charts.spark("x", line("d", "m", "", [0.0, 0.5, 2.0])["points"], 1.0)
    assert found is not None
    assert found.path == "M3,25L60,19.5L117,3"
    assert (found.end, found.limit, found.value, found.alert) == ((117.0, 3.0), 14.0, 2.0, True)


def test_a_threshold_far_away_does_not_flatten_the_line() -> None:
    found = charts.spark("x", line("d", "m", "", [0.1, 0.2], None)["points"], 1000.0)
    assert found is not None
    assert found.limit is None and found.path == "M3,25L117,3"


def test_nothing_known_is_no_line() -> None:
    assert charts.spark("x", line("d", "m", "", [None, None])["points"], 1.0) is None
    assert charts.sparks([line("d", "m", "", [None])]) == []


def test_each_signal_has_one_small_line_of_its_worst_column() -> None:
    found = charts.sparks([line("d", "m", "a", [0.1]), line("d", "m", "b", [0.9]), line("p", "r", "", [3.0])])
    assert [each.label for each in found] == ["p: r", "d: m · b"]


def test_a_histogram_shows_the_occupied_buckets_and_their_neighbours() -> None:
    bars = charts.histogram([0, 0, 4, 8, 0, 0], [1.0, 2.0, 4.0, 8.0, 16.0])
    assert [(bar.low, bar.high, bar.count, bar.height) for bar in bars] == [
        (1.0, 2.0, 0, 0.0), (2.0, 4.0, 4, 50.0), (4.0, 8.0, 8, 100.0), (8.0, 16.0, 0, 0.0),
    ]  # fmt: skip
    assert sum(bar.width for bar in bars) == 100.0
    assert charts.histogram([0, 0], [1.0]) == []
    assert charts.histogram([0, 1], [1.0])[-1].high == float("inf")


def test_traffic_fills_one_bar() -> None:
    assert [(each.name, each.x, each.percent) for each in charts.shares({"blue": 90, "green": 10})] == [
        ("blue", 0, 90), ("green", 90, 10),
    ]  # fmt: skip
