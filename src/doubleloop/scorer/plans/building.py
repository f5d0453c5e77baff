"""From a fitted model to its plan, or to the reason why there is none."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

import numpy

from . import columns, encoding, estimators, finishes, numbers, rows, texts
from .steps import Chain, Inputs, NotPlanned, Step

LIBRARIES = ("sklearn", "lightgbm", "xgboost", "catboost")
ENCODERS = {"OneHotEncoder": encoding.OneHot, "OrdinalEncoder": encoding.Ordinal}
SEARCHES = ("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV")


class Plan:
    """``run(columns)``: what the model's ``predict`` (or ``predict_proba``) gives for these rows, as a numpy array.

    ``chain`` is its steps. ``saves``: whether anything is left out; else the model may as well be called itself.
    ``trees``: how the sums of its trees are found (``ways.Ways.told``), None where there are none.
    """

    def __init__(self, chain: Chain, saves: bool, trees: Any) -> None:
        self.chain, self.run = chain, rows.Rows(chain).run
        self.saves, self.trees = saves, trees


def build(model: Any, inputs: Inputs, method: str) -> Plan:
    """Raises NotPlanned."""
    steps, estimator, after = unfolded(model)
    before, last = _walk(steps, estimator, inputs, method)
    return Plan(Chain([*before, last.step, *after]), saves=not last.native or bool(steps), trees=last.told)


def unfolded(model: Any) -> Tuple[List[Any], Any, List[Step]]:
    """The transformers, the estimator, and what is done to its answer."""
    name = _name(model)
    if name in SEARCHES:
        if not hasattr(model, "best_estimator_"):
            raise NotPlanned("%s without a refitted estimator" % name)
        return unfolded(model.best_estimator_)
    if name == "TransformedTargetRegressor":
        steps, estimator, after = unfolded(model.regressor_)
        return steps, estimator, [*after, _inverse(model.transformer_)]
    if name == "Pipeline":
        *before, last = flat(model)
        steps, estimator, after = unfolded(last)
        return [*before, *steps], estimator, after
    return [], model, []


def _inverse(transformer: Any) -> Step:
    if _name(transformer) == "FunctionTransformer":
        inverse = transformer.inverse_func
        if inverse is None:
            return numbers.Same()
        if isinstance(inverse, numpy.ufunc):
            return finishes.named(inverse) or numbers.Function(inverse)
        raise NotPlanned("TransformedTargetRegressor with code of its own")
    if not _libraries(transformer):
        raise NotPlanned("TransformedTargetRegressor with a transformer of its own")
    return numbers.Function(lambda answer: transformer.inverse_transform(answer.reshape(-1, 1)).ravel())


def flat(part: Any) -> List[Any]:
    """The transformers one after the other: those of a pipeline and of the pipelines in it, or the one."""
    if part is None or (isinstance(part, str) and part == "passthrough"):
        return []
    if _name(part) != "Pipeline":
        return [part]
    return [inner for _, step in part.steps for inner in flat(step)]


def _walk(steps: Sequence[Any], estimator: Any, inputs: Inputs, method: str) -> Tuple[List[Step], Any]:
    """What is done before the estimator, and the estimator."""
    everything = list(range(len(inputs)))
    of_texts = _texts(steps, inputs)
    if of_texts is not None:
        made = of_texts
    elif steps and _name(steps[0]) == "ColumnTransformer":
        made = [_beside(steps[0], inputs)] + [_numeric(step) for step in steps[1:]]
    else:
        made = _chain(steps, everything, inputs)
    last = estimators.plan(estimator, method)
    if last.native and not _libraries(estimator):
        raise NotPlanned("%s has parts that are no library's" % _name(estimator))
    if len(made) == 1 and isinstance(made[0], columns.Beside):
        made[0].narrow, made[0].columnwise = last.narrow, last.columnwise
    return made, last


def _texts(steps: Sequence[Any], inputs: Inputs) -> Optional[List[Step]]:
    """The steps of a pipeline that begins with texts; None for another."""
    if not steps:
        return None
    found = None
    if texts.is_vectorizer(steps[0]) and len(inputs) == 1:
        found = 0, list(steps)
    elif _name(steps[0]) == "ColumnTransformer":
        part = texts.alone(steps[0])
        if part is not None:
            found = positions(steps[0], part[0], inputs)[0], [*flat(part[1]), *steps[1:]]
    if found is None:
        return None
    if not all(_libraries(step) and hasattr(step, "transform") for step in found[1]):
        raise NotPlanned("a transformer of texts that is no library's")
    return texts.chain(found[1], found[0], inputs)


def _beside(transformer: Any, inputs: Inputs) -> columns.Beside:
    """A ColumnTransformer that gets the frame itself."""
    parts: List[Tuple[Step, List[Step]]] = []
    for name, part, chosen in transformer.transformers_:
        if isinstance(part, str) and part == "drop":
            continue
        places = positions(transformer, name, inputs)
        if not places:
            continue
        if isinstance(chosen, str):
            raise NotPlanned("a column that is given to a transformer as texts, not as a table")
        steps = flat(part)
        if steps and _name(steps[0]) == "ColumnTransformer":
            raise NotPlanned("a ColumnTransformer in another")
        first, *then = _chain(steps, places, inputs)
        parts.append((first, then))
    if not parts:
        raise NotPlanned("a ColumnTransformer that keeps no column")
    return columns.Beside(parts)


def positions(transformer: Any, name: str, inputs: Inputs) -> List[int]:
    """Where a part's columns are in the request."""
    indices = getattr(transformer, "_transformer_to_input_indices", {}).get(name)
    if indices is None:
        raise NotPlanned("this version of ColumnTransformer")
    known = getattr(transformer, "feature_names_in_", None)
    if known is None:
        return [int(each) for each in indices]
    where = {label: position for position, label in enumerate(inputs.names)}
    try:
        return [where[known[each]] for each in indices]
    except KeyError as error:
        raise NotPlanned("the column %s is not in the signature" % error) from None


def _chain(steps: Sequence[Any], positions: List[int], inputs: Inputs) -> List[Step]:
    """The steps of some columns of the frame, the first of which takes them out of it."""
    names = [_name(step) for step in steps]
    encoder = next((number for number, name in enumerate(names) if name in ENCODERS), None)
    if encoder is not None and all(name == "SimpleImputer" for name in names[:encoder]):
        filled: List[Step] = [_filled(step) for step in steps[:encoder]]
        source: Step = columns.Values(positions, inputs.types)
        made: Step = ENCODERS[names[encoder]](steps[encoder])
        return [source, *filled, made, *(_numeric(step) for step in steps[encoder + 1 :])]
    return [columns.Matrix(positions, inputs.types), *(_numeric(step) for step in steps)]


def _filled(imputer: Any) -> Step:
    if getattr(imputer, "indicator_", None) is not None:
        raise NotPlanned("SimpleImputer of categories with indicators")
    return encoding.Filled(imputer.missing_values, list(imputer.statistics_))


def _numeric(transformer: Any) -> Step:
    if not _libraries(transformer) or not hasattr(transformer, "transform"):
        raise NotPlanned("%s is not a transformer of a known library" % _name(transformer))
    return numbers.KNOWN.get(_name(transformer), numbers.Called)(transformer)


def _libraries(estimator: Any) -> bool:
    """Whether it and all its parts are a library's: code of one's own may count on being given a frame."""
    parts = [estimator, *estimator.get_params(deep=True).values()]
    for part in parts:
        if isinstance(part, type) or not hasattr(part, "get_params"):
            continue
        if type(part).__module__.split(".")[0] not in LIBRARIES:
            return False
        functions = (getattr(part, "func", None), getattr(part, "inverse_func", None))
        if _name(part) == "FunctionTransformer" and any(
            each is not None and not isinstance(each, numpy.ufunc) for each in functions
        ):
            return False
    return True


def _name(each: Any) -> str:
    return type(each).__name__
