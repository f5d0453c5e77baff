"""Pipelines that begin with texts: a vectorizer is given those of one column, and what follows takes its sparse rows.

Each step is the library's own, called as it is; what is saved is the frame and the walk around it.
"""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

from . import numbers
from .steps import Inputs, NotPlanned, OutOfPlan, Step

VECTORIZERS = ("CountVectorizer", "TfidfVectorizer", "HashingVectorizer")
WORDS = 5  # of a vocabulary, for one text of a probe
TEXTS = 48


def is_vectorizer(step: Any) -> bool:
    return type(step).__name__ in VECTORIZERS and type(step).__module__.split(".")[0] == "sklearn"


def starts(model: Any) -> bool:
    """Whether a model's first step is a vectorizer: it must be given the texts themselves, not a frame of them."""
    while hasattr(model, "steps") and model.steps:
        model = model.steps[0][1]
    return is_vectorizer(model)


class Texts(Step):
    """The texts of one column. Raises NotPlanned for another type, OutOfPlan where one is missing."""

    def __init__(self, position: int, inputs: Inputs) -> None:
        if inputs.types[position] != "string":
            raise NotPlanned("a column of type %s is used as a text" % inputs.types[position])
        self._position = position

    def run(self, data: List[Any]) -> Any:
        column = data[self._position]
        if column is not None and hasattr(column, "codes"):
            column = [column.distinct[code] for code in column.codes]
        if column is None or None in column:
            raise OutOfPlan("a text is missing")
        return column


class Transformed(Step):
    """A transformer of a library, called as it is: sparse rows stay sparse."""

    def __init__(self, transformer: Any) -> None:
        self._transform = numbers.nameless(transformer).transform

    def run(self, data: Any) -> Any:
        return self._transform(data)


def chain(steps: Sequence[Any], position: int, inputs: Inputs) -> List[Step]:
    """Of transformers, the first of which is a vectorizer."""
    return [Texts(position, inputs), *(Transformed(step) for step in steps)]


def alone(transformer: Any) -> Optional[Tuple[str, Any]]:
    """Name and transformer of the one part of a ``ColumnTransformer``, if that is a text's; None for any other."""
    parts = [part for part in transformer.transformers_ if not (isinstance(part[1], str) and part[1] == "drop")]
    if len(parts) != 1 or not isinstance(parts[0][2], str) or not starts(parts[0][1]):
        return None
    return parts[0][0], parts[0][1]


def known(vectorizer: Any) -> List[str]:
    """Texts of words that it knows, for the rows that it is probed with."""
    words = sorted(getattr(vectorizer, "vocabulary_", None) or ("one", "two", "three"))
    step = max(1, len(words) // (TEXTS * WORDS))
    chosen = words[::step]
    return [" ".join(chosen[at : at + WORDS]) for at in range(0, min(len(chosen), TEXTS * WORDS), WORDS)]
