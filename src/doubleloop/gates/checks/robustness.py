"""robustness: whether a model of images stands what cameras do to them, on a hold-out made worse in known steps.

The hold-out is judged as it is, by terciles of brightness, and with each corruption of ImageNet-C that the check names
(``statistics.corruptions``). Every slice has to keep the limits; the worst is named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from doubleloop.base import verdicts
from doubleloop.gates.checks import model_quality

TERCILES = ("dark", "middle", "bright")
WHOLE = "all"
# Of a slice, fewer are listed and not judged.
MIN_ROWS = 30


def judge(check: Mapping[str, Any], measurements: Mapping[str, Any]) -> verdicts.Verdict:
    """``check``: metric, at_least or at_most, at_most_loss (share of the whole hold-out's value that a slice may lose).
    ``measurements``: slices [{slice, rows, value}], the first of which is the whole hold-out; error."""
    if measurements.get("error"):
        return verdicts.failed(f"the candidate could not be scored: {measurements['error']}")
    metric = model_quality.metric_name(check["metric"])
    judged = [each for each in measurements["slices"] if each["rows"] >= (check.get("min_rows") or MIN_ROWS)]
    if not judged:
        return verdicts.not_checked("no slice of the hold-out has rows enough to be judged")
    whole = measurements["slices"][0]["value"]
    against = [said for each in judged if (said := _against(check, metric, each, whole))]
    if against:
        return verdicts.failed(*against)
    better = max if not model_quality.greater_is_better(metric) else min
    worst = better(judged, key=lambda each: each["value"])
    return verdicts.passed(
        f"{metric} is {whole:.6g}, and {worst['value']:.6g} at the worst ({worst['slice']}, {len(judged)} slices)"
    )


def _against(check: Mapping[str, Any], metric: str, each: Mapping[str, Any], whole: float) -> str:
    value = each["value"]
    said = f"{metric} of {each['slice']} is {value:.6g}"
    if not math.isfinite(value):
        return f"{metric} of {each['slice']} is not a number"
    if check.get("at_least") is not None and value < check["at_least"]:
        return f"{said}, must be at least {check['at_least']:.6g}"
    if check.get("at_most") is not None and value > check["at_most"]:
        return f"{said}, must be at most {check['at_most']:.6g}"
    loss = whole - value if model_quality.greater_is_better(metric) else value - whole
    most = check.get("at_most_loss")
    if most is not None and loss > (most + model_quality.ROUNDING) * abs(whole):
        return f"{said}, and {whole:.6g} of the whole hold-out: it may lose {most:.2%}"
    return ""
