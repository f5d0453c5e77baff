"""How rows are divided: what is held back as a test, and which rows judge a trial that has not seen them.

Source of the sizes: Azure Machine Learning, "Configure training, validation, cross-validation, and test data": above
20 000 rows a tenth is held out; up to there cross-validation with 3 folds, and with 10 below 1 000 rows.
"""

from __future__ import annotations

from typing import Any

import numpy
import pandas
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from .orders import BadData, Orders

HOLD_OUT_ABOVE = 20_000
TEN_FOLDS_BELOW = 1_000
HOLD_OUT = 0.1

Fold = tuple[Any, Any]  # positions of rows to train on, and of rows to judge by


def without_test(asked: Orders, frame: pandas.DataFrame) -> tuple[pandas.DataFrame, pandas.DataFrame | None]:
    """The rows for training, and those that ``test_data_size`` holds back."""
    if not asked.test_size:
        return frame, None
    train, test = _held_out(asked, frame, asked.test_size)
    return frame.iloc[train], frame.iloc[test]


def folds(asked: Orders, frame: pandas.DataFrame) -> tuple[list[Fold], bool]:
    """The folds of the training data, and whether they are a cross-validation (the model is then fitted to all rows).

    Raises BadData.
    """
    if asked.fold_columns:
        return [_by_column(frame, name) for name in asked.fold_columns], True
    number = asked.folds if isinstance(asked.folds, int) else None
    if asked.validation_size and not number:
        return [_held_out(asked, frame, asked.validation_size)], False
    if number and asked.validation_size:  # Monte Carlo: that share, drawn anew for each fold
        return [_held_out(asked, frame, asked.validation_size, again) for again in range(number)], True
    if not number and len(frame) > HOLD_OUT_ABOVE:
        return [_held_out(asked, frame, HOLD_OUT)], False
    number = number or (10 if len(frame) < TEN_FOLDS_BELOW else 3)
    if number > len(frame):
        raise BadData("n_cross_validations: %d is more than the %d rows" % (number, len(frame)))
    stratified = _strata(asked, frame, number)
    if stratified is not None:
        divided: Any = StratifiedKFold(number, shuffle=True, random_state=asked.seed).split(frame, stratified)
    else:
        divided = KFold(number, shuffle=True, random_state=asked.seed).split(frame)
    return list(divided), True


def _strata(asked: Orders, frame: pandas.DataFrame, least: int) -> Any:
    """The labels, where each has enough rows to be in every part."""
    if asked.task != "classification":
        return None
    labels = frame[asked.target].astype(str)
    return labels if labels.value_counts().min() >= least else None


def _held_out(asked: Orders, frame: pandas.DataFrame, share: float, again: int = 0) -> Fold:
    if len(frame) < 2:
        raise BadData("a share of %g cannot be held out of %d rows" % (share, len(frame)))
    rows = numpy.arange(len(frame))
    strata = _strata(asked, frame, 2)
    if strata is not None and min(share, 1 - share) * len(frame) < strata.nunique():
        strata = None
    train, held = train_test_split(rows, test_size=share, random_state=asked.seed + again, stratify=strata)
    return train, held


def _by_column(frame: pandas.DataFrame, name: str) -> Fold:
    if name not in frame.columns:
        raise BadData("the table has no column '%s' (cv_split_column_names)" % name)
    flags = frame[name].to_numpy()
    train, held = numpy.flatnonzero(flags == 1), numpy.flatnonzero(flags == 0)
    if not len(train) or not len(held):
        raise BadData("the column '%s' of folds needs rows with 1 (training) and rows with 0 (validation)" % name)
    return train, held
