"""Answers to questions from texts. Two parts: sentences are found by TF-IDF (cosine), and a reader cuts the answer out
of the best ones. The reader is a Hugging Face checkpoint for extractive question answering; without one, the answer is
the best sentence itself, which is retrieval and no reading, and is told so in ``reader`` of the metadata.

The model takes ``question`` and ``context``; where documents were given, ``context`` may be left out and they are
searched. It answers ``prediction``, ``score`` and ``source`` (the sentence it comes from).
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import shutil
from collections.abc import Sequence
from typing import Any

import numpy
import pandas
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.pipeline import Pipeline, make_pipeline

from ..shared.problems import BadData
from . import checkpoints, metrics, preparing, saving, splitting, tuning
from . import options as choices

# Question, context and true answers.
Question = tuple[str, str | None, list[str]]
READ = 2  # sentences that the reader is given: the right one is among them for 84 of 100 questions, the first for 70


class Answerer:
    """``terms``: fitted TF-IDF. ``library``: sentences to search for questions without a context."""

    def __init__(self, terms: Any, library: Sequence[str], reader: Any = None) -> None:
        self.terms, self.library, self.reader = terms, list(library), reader
        self._rows = terms.transform(self.library) if self.library else None

    def best(self, question: str, context: str | None) -> list[tuple[str, float]]:
        """The sentences nearest to the question, the first best; none where there is nothing to look in."""
        if context and context.strip():
            places = [said for said, _, _ in preparing.sentences(context)]
            rows = self.terms.transform(places)
        else:
            places, rows = self.library, self._rows
        if not places:
            return []
        scores = (rows @ self.terms.transform([question]).T).toarray().ravel()
        order = numpy.argsort(-scores, kind="stable")[:READ]
        return [(places[place], float(scores[place])) for place in order]

    def answer(self, question: str, context: str | None) -> dict[str, Any]:
        found = self.best(question, context)
        if not found:
            return {"prediction": "", "score": 0.0, "source": ""}
        if self.reader is None:
            return {"prediction": found[0][0], "score": found[0][1], "source": found[0][0]}
        said, score = self.reader.span(question, " ".join(sentence for sentence, _ in found))
        source = next((sentence for sentence, _ in found if said in sentence), found[0][0])
        return {"prediction": said, "score": score, "source": source}

    def predict(self, frame: pandas.DataFrame, params: dict[str, Any] | None = None) -> pandas.DataFrame:
        contexts = frame["context"].tolist() if "context" in frame else [None] * len(frame)
        found = [
            self.answer(str(question), context if isinstance(context, str) else None)
            for question, context in zip(frame["question"], contexts, strict=True)
        ]
        return pandas.DataFrame(found, columns=["prediction", "score", "source"])


def weights() -> Pipeline:
    """TF-IDF of hashed words and pairs: a context's words count though the corpus had none of them, as rare ones."""
    counts = HashingVectorizer(n_features=2**18, norm=None, alternate_sign=False, ngram_range=(1, 2))
    return make_pipeline(counts, TfidfTransformer(sublinear_tf=True))


def load(folder: str) -> Answerer:
    with open(os.path.join(folder, "answerer.json"), encoding="utf-8") as file:
        body = json.load(file)
    with open(os.path.join(folder, "terms.pkl"), "rb") as file:
        terms = pickle.load(file)
    return Answerer(terms, body["library"], _reader(os.path.join(folder, "reader")) if body["reader"] else None)


def _reader(folder: str) -> Any:
    return checkpoints.Reader(folder)


def _write(fitted: Answerer, reader: str, folder: str) -> None:
    """``reader``: the folder of its checkpoint, if it has one."""
    with open(os.path.join(folder, "answerer.json"), "w", encoding="utf-8") as file:
        json.dump({"library": fitted.library, "reader": bool(reader)}, file, ensure_ascii=False)
    with open(os.path.join(folder, "terms.pkl"), "wb") as file:
        pickle.dump(fitted.terms, file)
    if reader:
        shutil.copytree(reader, os.path.join(folder, "reader"))


def options(parser: argparse.ArgumentParser) -> None:
    choices.common(parser, test=False)
    parser.add_argument("--question", default="question")
    parser.add_argument("--context", default="context")
    parser.add_argument("--answer", default="answer")
    parser.add_argument("--documents", default="")
    parser.add_argument("--test-data", default="")
    parser.add_argument("--test-size", type=float, default=0.2)
    tuning.options(parser)


def run(given: argparse.Namespace) -> None:
    """Fit TF-IDF, fine-tune the reader if asked to, evaluate where answers are given, and save. Raises BadData."""
    questions = _questions(given.training_data, given)
    library = _library(given)
    contexts = [context for _, context, _ in questions if context]
    if not contexts and not library:
        raise BadData(f"there is nothing to look for answers in; name a column of texts as 'context', not "
                      f"'{given.context}', or give documents")  # fmt: skip
    sentences = [said for text in dict.fromkeys(contexts) for said, _, _ in preparing.sentences(text)]
    terms = weights().fit(library + sentences)
    if not given.checkpoint:
        return _finish(Answerer(terms, library), "", questions, questions, 0, given)
    learn, test = _divided(questions, given)
    with tuning.tuned(given, lambda place, to: tuning.reader(place, to, learn, given)) as place:
        return _finish(Answerer(terms, library, _reader(place)), place, questions, test, len(learn), given)


def _divided(questions: list[Question], given: argparse.Namespace) -> tuple[list[Question], list[Question]]:
    """What a reader learns from and what it is judged by: with nothing to learn, all; questions of one context stay on
    one side."""
    if given.test_data:
        return questions, _questions(given.test_data, given)
    if given.epochs < 1:
        return questions, questions
    out = splitting.held_out([context or question for question, context, _ in questions], given.test_size, given.seed)
    sides: tuple[list[Question], list[Question]] = ([], [])
    for each, side in zip(questions, out, strict=True):
        sides[int(side)].append(each)
    return sides


def _finish(
    fitted: Answerer, reader: str, questions: list[Question], test: list[Question], learnt: int,
    given: argparse.Namespace,
) -> None:  # fmt: skip
    """``learnt``: of so many questions; what was not fine-tuned, of none."""
    library = fitted.library
    evaluate(fitted, test, learnt if given.epochs else 0, given)
    shown = questions[:2]
    example = pandas.DataFrame({"question": [each[0] for each in shown]})
    # With documents, questions may come without a context: the signature then says that it is optional.
    example["context"] = pandas.Series([(each[1] or "")[:1500] or None for each in shown], dtype=object)
    if library:
        example = pandas.concat([example, example.iloc[:1].assign(context=None)], ignore_index=True)
    saving.model(
        given.model, "answerer", lambda folder: _write(fitted, reader, folder), example, task=given.task,
        packages=("scikit-learn", "scipy", *(("torch", "transformers") if reader else ())),
        metadata={"reader": "checkpoint" if reader else "none: the best sentence is the answer",
                  "sentences": len(library)},
    )  # fmt: skip


def _questions(path: str, given: argparse.Namespace) -> list[Question]:
    found = choices.texts(path, given, given.question)
    kept = []
    for row in found:
        context, answers = row.values.get(given.context), row.values.get(given.answer)
        if isinstance(answers, dict):  # SQuAD's own form
            answers = answers.get("text")
        listed = [answers] if isinstance(answers, str) else list(answers or [])
        if isinstance(context, str) and len(context) > given.max_chars:
            raise BadData(
                f"{row.place}: '{given.context}' has {len(context):,} characters, more than {given.max_chars:,}; "
                "split it, or raise max_chars"
            )
        kept.append((str(row.values[given.question]), context, [str(each) for each in listed if str(each).strip()]))
    return kept


def _library(given: argparse.Namespace) -> list[str]:
    if not given.documents:
        return []
    found = choices.texts(given.documents, given)
    return list(dict.fromkeys(said for row in found for said, _, _ in preparing.sentences(str(row.values[given.text]))))


def evaluate(fitted: Answerer, questions: Sequence[Question], learnt: int, given: argparse.Namespace) -> None:
    """Exact match and token F1 of SQuAD, and how often the answer stands in the best sentence. The baseline answers
    with the context's first sentence. TF-IDF learns nothing from answers, so all questions are judged."""
    judged = [each for each in questions if each[2]]
    if not judged:
        print(f"no row has an answer in '{given.answer}', so there is nothing to evaluate against")
        return saving.evaluation(
            given.evaluation, task=given.task, primary="", metrics={}, baseline="", baseline_metrics={},
            rows={"test": len(questions)},
        )  # fmt: skip
    truth = [answers for _, _, answers in judged]
    found = [fitted.answer(question, context) for question, context, _ in judged]
    said = [each["prediction"] for each in found]
    first = [_first(context, fitted.library) for _, context, _ in judged]

    def told(rows: Sequence[int], said: Sequence[str], sources: Sequence[str]) -> dict[str, float]:
        held = [any(one.lower() in sources[row].lower() for one in truth[row]) for row in rows]
        return {**metrics.answers([truth[row] for row in rows], [said[row] for row in rows]),
                "sentence_recall": float(numpy.mean(held))}  # fmt: skip

    rows, sources = range(len(judged)), [each["source"] for each in found]
    base = told(rows, first, first)
    slices = choices.slices(
        given, [question for question, _, _ in judged], lambda some: told(some, said, sources)
    )  # fmt: skip
    fine = {"train": learnt} if learnt else {}
    return saving.evaluation(
        given.evaluation, task=given.task, primary="token_f1", metrics=told(rows, said, sources),
        baseline="the first sentence", baseline_metrics=base, rows={**fine, "test": len(judged)}, slices=slices,
    )  # fmt: skip


def _first(context: str | None, library: Sequence[str]) -> str:
    found = [said for said, _, _ in preparing.sentences(context or "")]
    return found[0] if found else (library[0] if library else "")
