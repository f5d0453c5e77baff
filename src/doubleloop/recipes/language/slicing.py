"""Where a model is good and where not: slices by length, script, language and terms, each with its metrics."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy
import pandas

from ..shared.problems import BadData

# Below, a slice's numbers say little; they are told with its size.
SMALLEST = 20


def lengths(texts: Sequence[str]) -> list[str]:
    """Quarters of the texts by their number of words: ``1-8 words`` and so on; equal bounds fall together."""
    counts = numpy.array([len(text.split()) for text in texts])
    bounds = sorted({int(numpy.quantile(counts, share)) for share in (0.25, 0.5, 0.75, 1.0)})
    names, low = [], int(counts.min())
    for bound in bounds:
        names.append(f"{low}-{bound} words")
        low = bound + 1
    return [names[int(numpy.searchsorted(bounds, count))] for count in counts]


def scripts(texts: Sequence[str]) -> list[str]:
    """The script of most letters, by the first word of their Unicode names (LATIN, CYRILLIC, HANGUL, CJK, ...)."""
    return [_script(text) for text in texts]


def _script(text: str) -> str:
    letters = [each for each in text[:2000] if each.isalpha()]
    found = Counter(unicodedata.name(each, "unknown").split()[0] for each in letters)
    return found.most_common(1)[0][0].lower() if found else "none"


def languages(texts: Sequence[str], model: str) -> list[str]:
    """The language of each text, as a model of ``language_detection`` sees it. Raises BadData for another model."""
    import mlflow.pyfunc
    from mlflow.exceptions import MlflowException

    try:
        seen = mlflow.pyfunc.load_model(model)
    except (MlflowException, OSError) as error:
        raise BadData(
            f"language_model cannot be loaded ({str(error)[:200]}); give a model of language_detection"
        ) from None
    task = (seen.metadata.metadata or {}).get("task")
    if task != "language-detection":
        raise BadData(f"language_model is of the task '{task}'; give a model that language_detection made")
    return [str(each) for each in seen.predict(pandas.DataFrame({"text": list(texts)}))["prediction"]]


def mentions(texts: Sequence[str], terms: Mapping[str, Sequence[str]]) -> dict[str, list[bool]]:
    """By group whether each text has one of its terms as a whole word, in any case."""
    patterns = {
        group: re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, words)) + r")(?!\w)", re.IGNORECASE)
        for group, words in terms.items()
    }
    return {group: [bool(pattern.search(text)) for text in texts] for group, pattern in patterns.items()}


def table(
    texts: Sequence[str], measure: Callable[[list[int]], dict[str, float]], *,
    columns: Mapping[str, Sequence[str]] | None = None, terms: Mapping[str, Sequence[str]] | None = None,
) -> pandas.DataFrame:  # fmt: skip
    """A row for each slice: ``column``, ``value``, ``rows``, ``small`` (fewer than 20), and what ``measure`` says of
    the numbers of its rows. ``columns``: further values to slice by."""
    by: dict[str, Sequence[str]] = {"length": lengths(texts), "script": scripts(texts), **(columns or {})}
    for group, has in mentions(texts, terms or {}).items():
        by[f"term {group}"] = ["mentioned" if each else "not mentioned" for each in has]
    found = []
    for name, values in by.items():
        for value in sorted(set(values)):
            numbers = [row for row, each in enumerate(values) if each == value]
            told = {"column": name, "value": value, "rows": len(numbers), "small": len(numbers) < SMALLEST}
            found.append({**told, **measure(numbers)})
    return pandas.DataFrame(found)
