"""The columns that a model without signature was trained on, as its library remembers them.

Some libraries (LightGBM) take the columns of a frame by their places, whatever they are called.
"""

from __future__ import annotations

from typing import Any, List, Sequence

LIBRARIES = ("sklearn_model", "lgb_model", "xgb_model", "cb_model")
# scikit-learn and XGBoost's likeness of it, LightGBM's and CatBoost's, boosters of LightGBM and of XGBoost.
PLACES = ("feature_names_in_", "feature_name_", "feature_names_", "feature_name", "feature_names")


def names(model: Any) -> List[str]:
    """Of MLflow's wrapper ``model``; empty when nothing is remembered."""
    wrapper = getattr(model, "_model_impl", None)
    for raw in [getattr(wrapper, name, None) for name in LIBRARIES] + [wrapper]:
        for place in PLACES if raw is not None else ():
            try:
                found = getattr(raw, place)
                told = [str(name) for name in (found() if callable(found) else found)]
            except Exception:  # of a model that was trained on arrays, each library in its own way
                continue
            if told:
                return told
    return []


def chosen(piece: Any, wanted: Sequence[str]) -> Any:
    """The columns ``wanted`` of a frame, in that order, if all are there; else the frame as it is.

    LightGBM remembers spaces as underscores.
    """
    there = {str(column).replace(" ", "_"): column for column in piece.columns}
    there.update((str(column), column) for column in piece.columns)
    if not wanted or any(name not in there for name in wanted):
        return piece
    return piece[[there[name] for name in wanted]]
