"""The best models together: a weighted vote of them, or a model of their predictions.

Both are chosen by predictions on rows that the members had not been trained on, so nothing is trained again. The vote
is ensemble selection (Caruana et al. 2004, "Ensemble Selection from Libraries of Models") as Azure ML uses it: it
begins with up to five models whose score is within 5 % of the best, and then adds, with replacement, whichever helps
most, fifteen at most in all.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from typing import Any

import numpy
import pandas
from sklearn import linear_model
from sklearn.base import BaseEstimator
from sklearn.model_selection import KFold

from . import metrics, saving, tables
from .orders import BadData, Orders
from .tabular import aligned

LOG = logging.getLogger("doubleloop")
BEGIN_WITH, WITHIN, AT_MOST = 5, 0.05, 15


class Together(BaseEstimator):
    """Several fitted models as one. ``classes``: of a classification, sorted; else None. ``weights``: one for each
    member, or None when ``meta`` is a fitted model of their predictions."""

    def __init__(self, members: list[Any], classes: Any = None, weights: Any = None, meta: Any = None) -> None:
        self.members = members
        self.classes = classes
        self.weights = weights
        self.meta = meta

    @property
    def classes_(self) -> Any:
        return self.classes

    @property
    def rows_stand_alone(self) -> bool:
        return all(getattr(member, "rows_stand_alone", True) for member in self.members)

    @property
    def ends_(self) -> Any:
        return self.members[0].ends_

    @property
    def settings(self) -> Any:
        return self.members[0].settings

    def fit(self, X: Any, y: Any = None) -> Together:
        return self  # the members are fitted

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def _each(self, X: pandas.DataFrame) -> Any:
        """(members, n) numbers, or (members, n, k) probabilities."""
        if self.classes is None:
            return numpy.stack([member.predict(X) for member in self.members])
        return numpy.stack([aligned(member, X, self.classes) for member in self.members])

    def predict_proba(self, X: pandas.DataFrame) -> Any:
        if self.meta is None:
            return voted(self._each(X), self.weights)
        return spread(self.meta, stacked(self._each(X)), len(self.classes))

    def predict(self, X: pandas.DataFrame) -> Any:
        if self.classes is not None:
            return numpy.asarray(self.classes)[self.predict_proba(X).argmax(axis=1)]
        if self.meta is None:
            return voted(self._each(X), self.weights)
        return self.meta.predict(stacked(self._each(X)))

    def forecast(self, X: pandas.DataFrame, y: Any = None, **_ignored: Any) -> Any:
        target = self.settings["target"]
        found = self.predict(X if y is None else X.assign(**{target: numpy.asarray(y, dtype=float)}))
        return found, X.assign(_automl_target_col=found)


def voted(each: Any, weights: Any) -> Any:
    return numpy.tensordot(numpy.asarray(weights), each, axes=1)


def stacked(each: Any) -> Any:
    """(n, features) of a meta model: the members' numbers, or their probabilities but for the last class's."""
    if each.ndim == 2:
        return each.T
    return numpy.concatenate(list(each[:, :, :-1]), axis=1)


def spread(meta: Any, table: Any, classes: int) -> Any:
    """(n, classes) probabilities of a meta model that was trained on codes."""
    found = numpy.zeros((len(table), classes))
    found[:, numpy.asarray(meta.classes_, dtype=int)] = meta.predict_proba(table)
    return found


class _Members:
    """The models to choose from, best first, with their predictions on the same unseen rows."""

    def __init__(self, asked: Orders, given: argparse.Namespace) -> None:
        self.asked = asked
        self.models = [saving.load(model) for model, _ in given.member]
        states = [saving.kept(state) for _, state in given.member]
        if any(len(state["truth"]) != len(states[0]["truth"]) for state in states):
            raise BadData("the trials were judged by different rows")
        self.state = states[0]
        self.found = numpy.stack([state["found"] for state in states])
        self.classes = None
        if asked.task == "classification":
            self.classes = numpy.unique(numpy.concatenate([model.classes_ for model in self.models]))

    def measured(self, found: Any) -> dict[str, float]:
        """The metrics of predictions, averaged over the folds like a trial's."""
        state, each = self.state, []
        for fold in numpy.unique(state["fold"]):
            rows = state["fold"] == fold
            each.append(self._one(rows, found[rows]))
        return metrics.averaged(each)

    def _one(self, rows: Any, found: Any) -> dict[str, float]:
        asked, state = self.asked, self.state
        truth = state["truth"][rows]
        if asked.task == "classification":
            assert self.classes is not None
            return metrics.classification(
                self.classes[truth], found, self.classes, state["weights"][rows], asked.positive_label
            )
        if asked.task == "forecasting":
            ranges = {name: tuple(span) for name, span in zip(state["names"], state["ranges"])}  # noqa: B905
            return metrics.forecasting(truth, found, state["series"][rows], ranges)
        return metrics.regression(truth, found, state["range"][0], state["range"][1], state["weights"][rows])

    def score(self, found: Any) -> float:
        """The primary metric, greater being better; what is undefined is worst."""
        value = self.asked.sign * self.measured(found)[self.asked.metric]
        return value if numpy.isfinite(value) else -numpy.inf


def selected(score: Callable[[list[int]], float], alone: list[float]) -> list[int]:
    """Which members are in the vote, each as often as its weight says. ``score`` of a list of members is greater when
    it is better; ``alone`` are the scores of each."""
    order = sorted(range(len(alone)), key=lambda each: -alone[each])
    best = alone[order[0]]
    chosen = [each for each in order[:BEGIN_WITH] if best - alone[each] <= WITHIN * abs(best)]
    now = score(chosen)
    if now < best:
        chosen, now = [order[0]], best
    while len(chosen) < AT_MOST:
        tried = {each: score([*chosen, each]) for each in order}
        found = max(order, key=lambda each: tried[each])
        if tried[found] <= now:
            break
        chosen.append(found)
        now = tried[found]
    return chosen


def vote(asked: Orders, given: argparse.Namespace) -> None:
    members = _Members(asked, given)
    alone = [members.score(found) for found in members.found]
    chosen = selected(lambda picked: members.score(members.found[picked].mean(axis=0)), alone)
    counts = numpy.bincount(chosen, minlength=len(members.models)) / len(chosen)
    kept = [number for number in range(len(counts)) if counts[number]]
    weights = counts[kept]
    LOG.info("vote of %s", ", ".join("%s: %.3g" % (given.member[n][0], counts[n]) for n in kept))
    made = Together([members.models[number] for number in kept], members.classes, [float(each) for each in weights])
    found = voted(members.found[kept], weights)
    _leave(
        asked,
        given,
        made,
        members,
        found,
        {"algorithm": "VotingEnsemble", "ensemble_weights": list(map(float, weights))},
    )


def stack(asked: Orders, given: argparse.Namespace) -> None:
    members = _Members(asked, given)
    table, truth = stacked(members.found), members.state["truth"]
    table, truth, members = _share(asked, table, truth, members)
    number = min(5, len(truth))
    found = numpy.zeros(members.found.shape[1:])
    for train, held in KFold(number, shuffle=True, random_state=asked.seed).split(table):
        found[held] = _said(_meta(asked).fit(table[train], truth[train]), table[held], members)
    meta = _meta(asked).fit(table, truth)
    made = Together(members.models, members.classes, meta=meta)
    _leave(asked, given, made, members, found, {"algorithm": "StackEnsemble"})


def _share(asked: Orders, table: Any, truth: Any, members: _Members) -> Any:
    share = asked.stack.get("stack_meta_learner_train_percentage")
    if not share or share >= 1:
        return table, truth, members
    rows = numpy.random.default_rng(asked.seed).permutation(len(truth))[: max(int(share * len(truth)), 10)]
    members.found = members.found[:, rows]
    members.state = {
        name: value[rows] if len(value) == len(truth) and name not in ("names", "ranges", "range") else value
        for name, value in members.state.items()
    }
    return table[rows], truth[rows], members


def _said(meta: Any, table: Any, members: _Members) -> Any:
    return meta.predict(table) if members.classes is None else spread(meta, table, len(members.classes))


_META_OPTIONS: dict[str, dict[str, Any]] = {
    "ElasticNet": {"alpha": 0.001, "positive": True},
    "LogisticRegression": {"max_iter": 1000},
}


def _meta(asked: Orders) -> Any:
    is_classes = asked.task == "classification"
    name = asked.stack.get("stack_meta_learner_type") or "None"
    name = {"None": "LogisticRegression" if is_classes else "ElasticNet"}.get(name, name)
    given = asked.stack.get("stack_meta_learner_kwargs") or {}
    if name.startswith("LightGBM"):
        import lightgbm

        kind = getattr(lightgbm, {"LightGBMClassifier": "LGBMClassifier"}.get(name, "LGBMRegressor"))
        return kind(**{"random_state": asked.seed, "n_jobs": asked.threads, "verbosity": -1, **given})
    kind = getattr(linear_model, name)
    if is_classes != name.startswith("Logistic"):
        raise BadData("stack_meta_learner_type: %s is none for %s" % (name, asked.task))
    return kind(**{**_META_OPTIONS.get(name, {}), **given})


def _leave(
    asked: Orders, given: argparse.Namespace, made: Together, members: _Members, found: Any, tags: dict[str, Any]
) -> None:
    asked.algorithm = str(tags["algorithm"])
    saving.log(members.measured(found), asked.metric, tags)
    rows = tables.load(given.training)
    apart = [asked.target, *asked.fold_columns, *([asked.weights] if asked.weights else [])]
    if asked.task == "forecasting":
        # The members' training rows may go on after these, into the validation data: the example follows their end.
        saving.forecaster(asked, made, rows.drop(columns=[asked.target]), made.settings, given.model)
    else:
        saving.model(asked, made, rows.drop(columns=[name for name in apart if name in rows]), given.model)
