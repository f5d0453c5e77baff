"""The space of a sweep: the values of its parameters, all of them or at a point, and what can be sampled how: pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

from doubleloop.base import errors
from doubleloop.jobs import sobol

Space = Mapping[str, Mapping[str, Any]]
MAX_GRID = 100_000
_EDGE = 1e-12


def check(space: Space, sampling: Mapping[str, Any]) -> None:
    """Raises InvalidInput for an algorithm that the space does not allow."""
    if sampling["type"] == "grid":
        grid_size(space)
    if sampling.get("rule") == "sobol" and len(space) > sobol.MAX_DIMENSIONS:
        raise errors.InvalidInput(
            f"sobol sampling serves at most {sobol.MAX_DIMENSIONS} parameters, not {len(space)}",
            cure="use 'rule: random'",
        )
    log_base(sampling)


def log_base(sampling: Mapping[str, Any]) -> float:
    written = str(sampling.get("logbase") or "e")
    try:
        base = math.e if written == "e" else float(written)
    except ValueError:
        base = 0.0
    if base <= 1:
        raise errors.InvalidInput(f"logbase '{written}' is not a number above 1, nor e")
    return base


def quantile(parameter: Mapping[str, Any], u: float, base: float = math.e) -> Any:
    """The value of a parameter below which the share ``u`` of its distribution lies, rounded as its type says."""
    kind = parameter["type"]
    if kind == "choice":
        values = parameter["values"]
        return values[min(int(u * len(values)), len(values) - 1)]
    if kind == "randint":
        return min(int(u * parameter["upper"]), int(parameter["upper"]) - 1)
    if kind.endswith("uniform"):
        value = parameter["min_value"] + u * (parameter["max_value"] - parameter["min_value"])
    else:
        value = NormalDist(parameter["mu"], parameter["sigma"]).inv_cdf(min(max(u, _EDGE), 1 - _EDGE))
    if "log" in kind:
        value = base**value
    return _rounded(value, float(parameter["q"])) if "q" in parameter else value


def _rounded(value: float, q: float) -> float:
    """The nearest multiple of ``q``, without the noise of binary fractions."""
    digits = max(0, -math.floor(math.log10(q)) + 6)
    return round(round(value / q) * q, digits)


def grid_size(space: Space) -> int:
    """How many points the grid has. Raises InvalidInput for a parameter that has no finite list of values."""
    size = math.prod(len(_values(name, each)) for name, each in space.items())
    if size > MAX_GRID:
        raise errors.InvalidInput(f"the grid has {size} points, more than {MAX_GRID}", cure="use random sampling")
    return size


def _values(name: str, parameter: Mapping[str, Any]) -> list[Any]:
    if parameter["type"] == "choice":
        return list(parameter["values"])
    if parameter["type"] == "randint":
        return list(range(int(parameter["upper"])))
    if parameter["type"] == "quniform":
        q = float(parameter["q"])
        low, high = round(parameter["min_value"] / q), round(parameter["max_value"] / q)
        return [_rounded(step * q, q) for step in range(low, min(high, low + MAX_GRID) + 1)]
    raise errors.InvalidInput(
        f"grid sampling cannot go through all values of '{name}', which is {parameter['type']}",
        cure="use choice, randint or quniform for it, or random sampling",
    )


def grid(space: Space, index: int) -> dict[str, Any] | None:
    points = itertools.product(*(_values(name, each) for name, each in space.items()))
    found = next(itertools.islice(points, index, None), None)
    return None if found is None else dict(zip(space, found, strict=True))
