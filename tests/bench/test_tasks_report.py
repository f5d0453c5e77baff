"""When a component beats its baseline clearly, and what the page says of one that does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.tasks import report


def measured(metric: str, naive: float, ours: float) -> report.Measured:
    return report.Measured("translation", "pairs", "CC0", metric, ours, naive, "as it is", 10, 1.0, 1.0)


@pytest.mark.parametrize("metric, naive, ours, clear", [
    ("accuracy", 0.5, 0.56, True), ("accuracy", 0.5, 0.54, False),
    ("chrf", 40.0, 46.0, True), ("chrf", 40.0, 41.0, False), ("bleu", 10.0, 18.0, False),
    ("rmse", 10.0, 8.9, True), ("rmse", 10.0, 9.5, False), ("bits_per_character", 3.0, 2.6, True),
    ("bits_per_character", 3.0, 3.5, False),
])  # fmt: skip
def test_a_tenth_of_what_there_is_to_gain_is_clear(metric: str, naive: float, ours: float, clear: bool) -> None:
    found = measured(metric, naive, ours)
    assert found.clear is clear
    assert ("Not so: `translation` on pairs." in report.page([found])) is not clear


def test_a_page_is_read_as_it_was_written() -> None:
    page = report.page([measured("accuracy", 0.5, 0.52), measured("chrf", 38.548, 46.327)])
    assert report.page(report.read(page)) == page
    written = (Path(report.__file__).parents[2] / "docs" / "tasks.md").read_text()
    assert len(report.read(written)) == written.count("\n| `") > 20
    assert report.page(report.read(written)).splitlines()[7:] == written.splitlines()[7:]
