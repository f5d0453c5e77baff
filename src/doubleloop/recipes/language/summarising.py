"""Summaries of a text's own sentences. A ranker learns from pairs of text and summary which sentences together lie
nearest to the summary (greedily by ROUGE-1 F, as in Nallapati et al. 2017), by place, length, how central one is,
and its words. What is like a sentence that is picked already counts less (Carbonell and Goldstein 1998).

It picks sentences and writes none: a summary is never more fluent, nor less true, than the text.
The model takes a column ``text`` and answers ``prediction``.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy
import pandas
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer

from ..shared.problems import BadData
from . import metrics, preparing, reading, saving, splitting
from . import options as choices

TEXT = "text"
_CUES = ("we ", "this paper", "our ", "in summary", "conclu", "result", "show", "propose", "find", "said", "because")
# Longer texts have their first sentences ranked: places beyond say nothing that a summary keeps.
MOST_SENTENCES = 400
# How much likeness to what is picked takes away, of a score between 0 and 1.
LIKE = 0.2


class Summariser:
    """``ranker`` scores sentences by ``features``; ``terms`` weighs words; ``length`` sentences are picked."""

    def __init__(self, ranker: Any, terms: Any, length: int) -> None:
        self.ranker, self.terms, self.length = ranker, terms, length

    def summary(self, text: str) -> str:
        found = split(text)
        if len(found) <= self.length:
            return " ".join(found)
        scores = self.ranker.predict(features(found, self.terms))
        rows = self.terms.transform(found)
        best = picked(scores, (rows @ rows.T).toarray(), self.length)
        return " ".join(found[place] for place in sorted(best))

    def predict(self, frame: pandas.DataFrame, params: dict[str, Any] | None = None) -> pandas.DataFrame:
        return pandas.DataFrame({"prediction": [self.summary(text) for text in frame[TEXT].fillna("").astype(str)]})


def picked(scores: Any, alike: Any, length: int) -> list[int]:
    """Places of the best sentences (maximal marginal relevance). ``alike``: cosines of each with each."""
    scaled = (scores - scores.min()) / max(float(numpy.ptp(scores)), 1e-12)
    found: list[int] = []
    while len(found) < min(length, len(scaled)):
        left = scaled - (LIKE * alike[:, found].max(axis=1) if found else 0.0)
        left[found] = -numpy.inf
        found.append(int(left.argmax()))
    return found


def split(text: str) -> list[str]:
    return [said for said, _, _ in preparing.sentences(text)][:MOST_SENTENCES]


def features(sentences: Sequence[str], terms: Any) -> Any:
    """(sentences, features): place from start and end, length, mean cosine with the others and with the whole, numbers,
    capitals, cue words."""
    rows = terms.transform(sentences)
    alike = (rows @ rows.T).toarray()
    numpy.fill_diagonal(alike, 0)
    count = len(sentences)
    whole = numpy.asarray(rows.mean(axis=0)).ravel()
    central = rows @ (whole / max(float(numpy.linalg.norm(whole)), 1e-12))
    found = []
    for place, said in enumerate(sentences):
        words, low = said.split(), said.lower()
        found.append(
            [
                place, place / max(count - 1, 1), count - place, count, len(words), alike[place].mean(),
                alike[place].max() if count > 1 else 0.0, central[place],
                sum(each[0].isdigit() for each in words), sum(each[0].isupper() for each in words) / max(len(words), 1),
                *(cue in low for cue in _CUES),
            ]
        )  # fmt: skip
    return numpy.array(found, dtype=float)


def overlap(words: Counter[str], summary: Counter[str]) -> float:
    """F of shared words, ROUGE-1 without its tokenizer's finesse."""
    shared = sum((words & summary).values())
    return 2 * shared / (sum(words.values()) + sum(summary.values())) if shared else 0.0


def nearest(sentences: Sequence[str], summary: str, length: int) -> list[int]:
    """Places of up to ``length`` sentences, each of which brings them together nearer to the summary."""
    bags, wanted = [bag(said) for said in sentences], bag(summary)
    found: list[int] = []
    held: Counter[str] = Counter()
    while len(found) < length:
        gains = [-1.0 if place in found else overlap(held + words, wanted) for place, words in enumerate(bags)]
        best = int(numpy.argmax(gains))
        if gains[best] <= overlap(held, wanted):
            break
        found.append(best)
        held += bags[best]
    return found


def bag(text: str) -> Counter[str]:
    return Counter(token.lower() for token, _, _ in reading.tokens(text) if token[0].isalnum())


def fit(pairs: Sequence[tuple[str, str]], length: int, seed: int) -> Summariser:
    texts = [split(text) for text, _ in pairs]
    terms = TfidfVectorizer(sublinear_tf=True, min_df=2 if len(pairs) >= 20 else 1, max_features=30_000)
    try:
        terms.fit([sentence for sentences in texts for sentence in sentences])
    except ValueError as error:
        raise BadData(f"the texts hold no words to learn from ({error})") from error
    seen, wanted = [], []
    for sentences, (_, summary) in zip(texts, pairs, strict=True):
        seen.append(features(sentences, terms))
        wanted.append(numpy.isin(numpy.arange(len(sentences)), nearest(sentences, summary, length)).astype(float))
    # Few and small trees: of the sentences that people wrote summaries of, hundreds are good and thousands are not.
    ranker = HistGradientBoostingRegressor(
        max_iter=60, learning_rate=0.05, max_leaf_nodes=6, l2_regularization=5.0, random_state=seed
    )  # fmt: skip
    return Summariser(ranker.fit(numpy.vstack(seen), numpy.concatenate(wanted)), terms, length)


def load(folder: str) -> Summariser:
    with open(os.path.join(folder, "summariser.json"), encoding="utf-8") as file:
        length = int(json.load(file)["length"])
    with open(os.path.join(folder, "ranker.pkl"), "rb") as file:
        ranker, terms = pickle.load(file)
    return Summariser(ranker, terms, length)


def _write(fitted: Summariser, folder: str) -> None:
    with open(os.path.join(folder, "summariser.json"), "w", encoding="utf-8") as file:
        json.dump({"length": fitted.length}, file)
    with open(os.path.join(folder, "ranker.pkl"), "wb") as file:
        pickle.dump((fitted.ranker, fitted.terms), file)


def options(parser: argparse.ArgumentParser) -> None:
    choices.common(parser)
    parser.add_argument("--summary", default="summary")
    parser.add_argument("--length", type=choices.positive, default=3)


def run(given: argparse.Namespace) -> None:
    """Raises BadData."""
    pairs = pairs_of(given.training_data, given, given.summary)
    if given.test_data:
        learn, test = pairs, pairs_of(given.test_data, given, given.summary)
    else:
        out = splitting.held_out([reading.normalised(text) for text, _ in pairs], given.test_size, given.seed)
        learn = [each for each, side in zip(pairs, out, strict=True) if not side]
        test = [each for each, side in zip(pairs, out, strict=True) if side]
    fitted = fit(learn, given.length, given.seed)
    evaluate(fitted, test, given, len(learn))
    example = pandas.DataFrame({TEXT: [text[:2000] for text, _ in test[:2]]})
    saving.model(
        given.model, "summariser", lambda folder: _write(fitted, folder), example, task=given.task,
        packages=("scikit-learn", "scipy"), metadata={"sentences": fitted.length},
    )  # fmt: skip


def pairs_of(path: str, given: argparse.Namespace, other: str) -> list[tuple[str, str]]:
    """Texts of two columns, both with something in them. Raises BadData."""
    found = choices.rows(path, given)
    for column in (given.text, other):
        found = reading.texts(found, column, empty=given.empty, most_chars=given.max_chars)
    return [(str(row.values[given.text]), str(row.values[other])) for row in found]


def evaluate(fitted: Summariser, test: Sequence[tuple[str, str]], given: argparse.Namespace, learnt: int) -> None:
    """ROUGE beside that of the first sentences (lead), which is hard to beat for news and abstracts."""
    texts, truth = [text for text, _ in test], [summary for _, summary in test]
    said = [fitted.summary(text) for text in texts]
    lead = [" ".join(split(text)[: fitted.length]) for text in texts]
    told, base = metrics.summaries(truth, said), metrics.summaries(truth, lead)

    def measure(rows: list[int]) -> dict[str, float]:
        return metrics.summaries([truth[row] for row in rows], [said[row] for row in rows])

    saving.evaluation(
        given.evaluation, task=given.task, primary="rougel", metrics=told, baseline="the first sentences",
        baseline_metrics=base, rows={"train": learnt, "test": len(test)},
        slices=choices.slices(given, texts, measure),
    )  # fmt: skip
