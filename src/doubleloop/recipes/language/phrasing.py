"""Key phrases: the words and short phrases that are frequent in a text and rare in the corpus that was fitted (TF-IDF;
Salton and Buckley 1988). A fitted corpus is a model that has versions, which rules that look at one text have not.
Where people gave the phrases of the texts, which candidates are such is learned from them (``ranking``).

The model takes a column ``text`` and answers ``prediction`` (phrases, the best first) and ``scores``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from ..shared.problems import BadData
from . import metrics, ranking, reading, saving, splitting
from . import options as choices

TEXT = "text"
_WORD = re.compile(r"[^\W\d_][\w'’+#.-]*[\w+#]|[^\W\d_]")
_PART = re.compile(r"[.,;:!?()\[\]{}\"“”\n]+(?=\s|$)|[()\[\]{}\"“”]|\n")


def candidates(text: str, longest: int, stops: frozenset[str]) -> Iterator[str]:
    """Runs of up to ``longest`` words within a part of a sentence, in small letters, that neither begin nor end with a
    stop word."""
    for part in _PART.split(text):
        words = [found[0].lower() for found in _WORD.finditer(part)]
        for start in range(len(words)):
            if words[start] in stops or len(words[start]) < 2:
                continue
            for end in range(start + 1, min(start + longest, len(words)) + 1):
                if words[end - 1] not in stops and len(words[end - 1]) > 1:
                    yield " ".join(words[start:end])


def stop_words(texts: Sequence[str], share: float) -> frozenset[str]:
    """Scikit-learn's English ones, and, in whatever language, words of more than ``share`` of the texts."""
    counts = Counter(word for text in texts for word in {found[0].lower() for found in _WORD.finditer(text)})
    frequent = {word for word, count in counts.items() if count > share * len(texts)} if len(texts) >= 20 else set()
    return ENGLISH_STOP_WORDS | frequent


class Phrases:
    """``seen``: in how many of the ``fitted`` texts each candidate is; what is not there counts as in one.

    ``ranker``: what was learned from true phrases; without it, candidates are scored by TF-IDF."""

    def __init__(
        self, seen: dict[str, int], fitted: int, stops: Sequence[str], longest: int, count: int,
        ranker: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.seen, self.fitted, self.longest, self.count, self.ranker = seen, fitted, longest, count, ranker
        self.stops = frozenset(stops)

    def rarity(self, phrase: str) -> float:
        return math.log((1 + self.fitted) / (1 + self.seen.get(phrase, 0))) + 1

    def features(self, text: str, given: Mapping[str, int], own: frozenset[str] = frozenset()) -> Any:
        found = list(candidates(text, self.longest, self.stops))
        return ranking.features(text, found, {phrase: self.rarity(phrase) for phrase in found}, given, own)

    def scored(self, text: str) -> dict[str, float]:
        if self.ranker is None:
            found = Counter(candidates(text, self.longest, self.stops))
            return {phrase: (1 + math.log(times)) * self.rarity(phrase) for phrase, times in found.items()}
        phrases, rows = self.features(text, self.ranker["given"])
        return dict(zip(phrases, ranking.scores(self.ranker, rows).tolist(), strict=True)) if phrases else {}

    def best(self, text: str, count: int | None = None) -> list[tuple[str, float]]:
        scored = self.scored(text)
        ordered = sorted(scored.items(), key=lambda each: (-each[1], -len(each[0].split()), each[0]))
        kept: list[tuple[str, float]] = []
        for phrase, score in ordered:
            # A phrase and its part tell one thing: the better of the two stays.
            if not any(f" {phrase} " in f" {other} " or f" {other} " in f" {phrase} " for other, _ in kept):
                kept.append((phrase, score))
            if len(kept) == (count or self.count):
                break
        return kept

    def predict(self, frame: pandas.DataFrame, params: dict[str, Any] | None = None) -> pandas.DataFrame:
        found = [self.best(text) for text in frame[TEXT].fillna("").astype(str)]
        return pandas.DataFrame(
            {
                "prediction": [[phrase for phrase, _ in each] for each in found],
                "scores": [[score for _, score in each] for each in found],
            }
        )


def fit(texts: Sequence[str], longest: int, count: int, least: int = 2) -> Phrases:
    """``least``: candidates of fewer texts are not kept (they count as in one text anyway)."""
    stops = stop_words(texts, 0.5)
    seen = Counter(phrase for text in texts for phrase in set(candidates(text, longest, stops)))
    kept = {phrase: number for phrase, number in seen.items() if number >= least}
    return Phrases(kept, len(texts), sorted(stops), longest, count)


def learn(fitted: Phrases, texts: Sequence[str], phrases: Sequence[Sequence[str]]) -> None:
    """Give it a ranker, where enough texts hold phrases that people gave of them. ``phrases``: of each text, small."""
    told = [(text, frozenset(each)) for text, each in zip(texts, phrases, strict=True) if each]
    given = Counter(phrase for _, each in told for phrase in each)
    rows, right = [], []
    for text, each in told:
        found, features = fitted.features(text, given, each)
        if found:
            rows.append(features)
            right += [phrase in each for phrase in found]
    if len(rows) >= ranking.LEAST and any(right) and not all(right):
        fitted.ranker = ranking.fit(rows, right, given)


def load(folder: str) -> Phrases:
    with open(os.path.join(folder, "phrases.json"), encoding="utf-8") as file:
        return Phrases(**json.load(file))


def _write(fitted: Phrases, folder: str) -> None:
    body = {
        "seen": fitted.seen, "fitted": fitted.fitted, "stops": sorted(fitted.stops), "longest": fitted.longest,
        "count": fitted.count, "ranker": fitted.ranker,
    }  # fmt: skip
    with open(os.path.join(folder, "phrases.json"), "w", encoding="utf-8") as file:
        json.dump(body, file, ensure_ascii=False)


def options(parser: argparse.ArgumentParser) -> None:
    choices.common(parser)
    parser.add_argument("--label", default="")
    parser.add_argument("--longest", type=choices.positive, default=2)
    parser.add_argument("--count", type=choices.positive, default=10)


def run(given: argparse.Namespace) -> None:
    """Fit, evaluate where ``label`` names a column of true phrases, and save. Raises BadData."""
    rows = choices.texts(given.training_data, given)
    test = choices.texts(given.test_data, given) if given.test_data else None
    if test is None and given.label:
        keys = [reading.normalised(str(row.values[given.text])) for row in rows]
        out = splitting.held_out(keys, given.test_size, given.seed)
        test = [row for row, side in zip(rows, out, strict=True) if side]
        rows = [row for row, side in zip(rows, out, strict=True) if not side]
    texts = [str(row.values[given.text]) for row in rows]
    fitted = fit(texts, given.longest, given.count)
    if given.label:
        learn(fitted, texts, [_there(row, given) if row.values.get(given.label) else [] for row in rows])
    evaluate(fitted, test or [], given)
    shown = [str(row.values[given.text])[:500] for row in rows[:3]]
    saving.model(
        given.model, "phrases", lambda folder: _write(fitted, folder), pandas.DataFrame({TEXT: shown}), task=given.task,
        packages=("scikit-learn",),
        answer=pandas.DataFrame({"prediction": [["phrase"]], "scores": [[1.0]]}), metadata={"texts": fitted.fitted},
    )  # fmt: skip


def true_phrases(row: reading.Row, column: str) -> list[str]:
    """A list, or a text with commas or semicolons between. Raises BadData."""
    value = row.values.get(column)
    found = re.split(r"[;,]", value) if isinstance(value, str) else value
    if not isinstance(found, list):
        raise BadData(f"{row.place}: '{column}' holds no phrases; write 'one; another' or a list")
    return [str(each).strip() for each in found if str(each).strip()]


def _there(row: reading.Row, given: argparse.Namespace) -> list[str]:
    """The true phrases that stand in their text, in small letters. Raises BadData."""
    low = str(row.values[given.text]).lower()
    return [each.lower() for each in true_phrases(row, given.label) if each.lower() in low]


def evaluate(fitted: Phrases, test: Sequence[reading.Row], given: argparse.Namespace) -> None:
    """Against the true phrases that stand in their text. The baseline: the most frequent candidates of the text."""
    if not given.label:
        print("no column of true phrases is named (label), so there is nothing to evaluate against")
        return saving.evaluation(
            given.evaluation, task=given.task, primary="", metrics={}, baseline="", baseline_metrics={},
            rows={"train": fitted.fitted},
        )  # fmt: skip
    texts, truth = [], []
    for row in test:
        there = _there(row, given)
        if there:
            texts.append(str(row.values[given.text]))
            truth.append(there)
    if not texts:
        raise BadData(f"no text holds one of its phrases in '{given.label}', so none could be found")
    said = [[phrase for phrase, _ in fitted.best(text, 10)] for text in texts]
    naive = [[phrase for phrase, _ in Counter(candidates(text, fitted.longest, fitted.stops)).most_common(10)]
             for text in texts]  # fmt: skip
    told, base = metrics.phrases(truth, said), metrics.phrases(truth, naive)

    def measure(numbers: list[int]) -> dict[str, float]:
        return metrics.phrases([truth[each] for each in numbers], [said[each] for each in numbers])

    return saving.evaluation(
        given.evaluation, task=given.task, primary="f1_at_10", metrics=told, baseline="most frequent candidates",
        baseline_metrics=base, rows={"train": fitted.fitted, "test": len(texts)},
        slices=choices.slices(given, texts, measure),
    )  # fmt: skip
