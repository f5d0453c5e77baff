"""Which candidates are key phrases, learned from texts whose phrases people gave: KEA (Witten et al. 1999) by logistic
regression, with how often a phrase was given elsewhere (Frank et al. 1999). What is learned is a dozen of numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy
from sklearn.linear_model import LogisticRegression

# Texts with true phrases, from which on something is learned.
LEAST = 20
EARLY = 5


def features(
    text: str, found: Sequence[str], rarity: Mapping[str, float], given: Mapping[str, int], own: frozenset[str]
) -> tuple[list[str], Any]:
    """Candidates, and a row of each. ``found``: candidates in their order, as often as they stand in the text.

    ``rarity``: their inverse document frequency. ``given``: of how many texts they are true phrases; those of ``own``
    are counted without this text. Columns: how often (logarithm, and share), rarity, TF-IDF, place of the first letter
    as a share, rank of the first candidate, spread, words, letters, how often given, whether early, whether joined.
    """
    places: dict[str, list[int]] = {}
    for place, phrase in enumerate(found):
        places.setdefault(phrase, []).append(place)
    low, count = text.lower(), max(len(found), 1)
    rows = []
    for phrase, at in places.items():
        often, rare = math.log(len(at)), rarity[phrase]
        elsewhere = given.get(phrase, 0) - (phrase in own)
        rows.append(
            [
                often, len(at) / count, rare, (1 + often) * rare, max(low.find(phrase), 0) / max(len(low), 1),
                math.log(1 + at[0]), (at[-1] - at[0]) / count, len(phrase.split()), len(phrase),
                math.log(1 + max(elsewhere, 0)), at[0] < EARLY, "-" in phrase or "." in phrase,
            ]
        )  # fmt: skip
    return list(places), numpy.array(rows, dtype=float)


def fit(rows: Sequence[Any], right: Sequence[bool], given: Counter[str]) -> dict[str, Any]:
    """``rows``: of each text; ``right``: of each candidate, whether it is a true phrase."""
    table = numpy.vstack(rows)
    means, scales = table.mean(axis=0), table.std(axis=0)
    scales[scales == 0] = 1.0
    fitted = LogisticRegression(max_iter=1000).fit((table - means) / scales, numpy.array(right))
    return {
        "means": means.tolist(), "scales": scales.tolist(), "weights": fitted.coef_[0].tolist(),
        "bias": float(fitted.intercept_[0]), "given": dict(given),
    }  # fmt: skip


def scores(ranker: Mapping[str, Any], rows: Any) -> Any:
    """Probabilities of candidates."""
    scaled = (rows - numpy.array(ranker["means"])) / numpy.array(ranker["scales"])
    return 1 / (1 + numpy.exp(-(scaled @ numpy.array(ranker["weights"]) + ranker["bias"])))
