"""What docs/statistics.md shows, runs; every metric is named there."""

from __future__ import annotations

import re
from pathlib import Path

from doubleloop.statistics import metrics

PAGE = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text()


def test_the_example_on_the_page_runs_and_prints_what_it_says(capsys):
    example = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(example[1], "docs/statistics.md", "exec"), {})  # noqa: S102 - our own page
    printed = capsys.readouterr().out
    assert "season: out_of_bounds_rate 0.25, threshold 0" in printed
    assert "temperature: mean 14.68 -> 22.67" in printed


def test_every_metric_is_on_the_page():
    assert [name for name in metrics.BY_NAME if f"`{name}`" not in PAGE] == []
