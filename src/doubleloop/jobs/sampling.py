"""The values of a sweep's next trial, from its space, its algorithm and the trials so far: pure.

Each trial is known by its index, so that a sweep that is taken up again after a crash goes on with the same values.
A parameter's value is the quantile of its distribution at a point between 0 and 1; the algorithms differ in how they
choose the points.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import optuna

from doubleloop.jobs import sobol, spaces
from doubleloop.jobs.spaces import Space

Trials = Sequence[tuple[Mapping[str, Any], float | None]]
# Below this many trials with a result, Bayesian sampling has nothing to learn from and samples at random.
STARTUP_TRIALS = 5


def sample(
    space: Space, sampling: Mapping[str, Any], index: int, trials: Trials, goal: str, fixed: int
) -> dict[str, Any] | None:
    """The values of trial ``index`` (from 0), or None when a grid has no more.

    ``trials``: values and result (None while it is not known, or when it failed) of the trials before; ``fixed`` is
    the seed where ``sampling`` has none.
    """
    seed = int(sampling["seed"]) if sampling.get("seed") is not None else fixed
    base = spaces.log_base(sampling)
    if sampling["type"] == "grid":
        return spaces.grid(space, index)
    if sampling["type"] == "bayesian":
        return _bayesian(space, index, trials, goal, seed, base)
    if sampling.get("rule") == "sobol":
        shift = _points(space, seed, -1) if sampling.get("seed") is not None else [0.0] * len(space)
        point = [(u + s) % 1.0 for u, s in zip(sobol.point(index, len(space)), shift, strict=True)]
    else:
        point = _points(space, seed, index)
    return {name: spaces.quantile(each, u, base) for (name, each), u in zip(space.items(), point, strict=True)}


def _points(space: Space, seed: int, index: int) -> list[float]:
    chance = random.Random(f"{seed}/{index}")
    return [chance.random() for _ in space]


# -- Bayesian ----------------------------------------------------------------------------------------------------------


def _bayesian(
    space: Space, index: int, trials: Trials, goal: str, seed: int, base: float
) -> dict[str, Any]:  # fmt: skip
    """Optuna's tree-structured Parzen estimator, on the points of the unit interval; choices stay categories.

    Trials without a result count as what others would choose (constant liar), so that trials at once differ.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(
        seed=(seed + index) % 2**32, n_startup_trials=STARTUP_TRIALS, multivariate=True, constant_liar=True,
    )  # fmt: skip
    study = optuna.create_study(sampler=sampler, direction="maximize" if goal == "maximize" else "minimize")
    distributions = {name: _distribution(each) for name, each in space.items()}
    for values, result in trials:
        state = optuna.trial.TrialState.RUNNING if result is None else optuna.trial.TrialState.COMPLETE
        params = {name: _point_of(space[name], values[name], base) for name in space if name in values}
        study.add_trial(
            optuna.trial.create_trial(
                state=state, value=result, params=params, distributions={name: distributions[name] for name in params}
            )
        )
    asked = study.ask(distributions)
    return {
        name: each["values"][int(asked.params[name])] if each["type"] == "choice"
        else spaces.quantile(each, float(asked.params[name]), base)
        for name, each in space.items()
    }  # fmt: skip


def _distribution(parameter: Mapping[str, Any]) -> optuna.distributions.BaseDistribution:
    if parameter["type"] == "choice":
        return optuna.distributions.CategoricalDistribution(list(range(len(parameter["values"]))))
    return optuna.distributions.FloatDistribution(0.0, 1.0)


def _point_of(parameter: Mapping[str, Any], value: Any, base: float) -> Any:
    """The inverse of ``quantile``, as far as rounding left it."""
    kind = parameter["type"]
    if kind == "choice":
        return parameter["values"].index(value)
    if kind == "randint":
        return (value + 0.5) / parameter["upper"]
    if "log" in kind:
        value = math.log(max(value, 1e-300), base)
    if kind.endswith("uniform"):
        u = (value - parameter["min_value"]) / (parameter["max_value"] - parameter["min_value"])
    else:
        u = NormalDist(parameter["mu"], parameter["sigma"]).cdf(value)
    return min(max(u, 0.0), 1.0)
