"""Tags of tokens: parts of speech, and entities as B-, I- and O. A conditional random field (Lafferty et al. 2001) by
CRFsuite, over a token's own letters and shape and those of its neighbours.

The model takes a column ``text``. For entities it answers ``prediction``: a list of ``{start, end, label, text}``, as
the labelling room has spans; for parts of speech a list of ``{token, start, end, tag}``.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import pandas

from ..shared import contracts
from ..shared.problems import BadData
from . import checkpoints, metrics, preparing, reading, saving, splitting, tuning
from . import options as choices
from .reading import Sentence

TEXT = "text"
OUTSIDE = "O"
# What answers are like, for the signature: with and without entities.
_LIKE = {
    True: [{"start": 0, "end": 3, "label": "PER", "text": "Ada"}],
    False: [{"token": "Ada", "start": 0, "end": 3, "tag": "NOUN"}],
}


def features(tokens: Sequence[str]) -> list[list[str]]:
    """CRFsuite's items of a sentence."""
    own = [_own(token) for token in tokens]
    found = []
    for place in range(len(tokens)):
        item = [f"0:{each}" for each in own[place]]
        for step in (-2, -1, 1, 2):
            if 0 <= place + step < len(tokens):
                item += [f"{step}:{each}" for each in own[place + step][: 2 if abs(step) == 2 else 6]]
            elif abs(step) == 1:
                item.append(f"{step}:edge")
        found.append(item)
    return found


def _own(token: str) -> list[str]:
    low = token.lower()
    found = [f"w={low}", f"shape={shape(token)}", f"s3={low[-3:]}", f"s2={low[-2:]}", f"p3={low[:3]}"]
    found.append(f"title={token.istitle()}")
    return [
        *found,
        f"s1={low[-1:]}",
        f"p1={low[:1]}",
        f"digit={any(each.isdigit() for each in token)}",
        f"p2={low[:2]}",
    ]


def shape(token: str) -> str:
    """``McDonald-21`` is ``XxXx-d``: kinds of characters, repeats once."""
    kinds = ["X" if each.isupper() else "x" if each.isalpha() else "d" if each.isdigit() else each for each in token]
    return "".join(kind for place, kind in enumerate(kinds) if place == 0 or kinds[place - 1] != kind)


class Tagger:
    """``reader`` has ``tags(tokens)``. ``entities``: whether tags are spans of entities."""

    def __init__(self, reader: Any, entities: bool) -> None:
        self._reader, self._entities = reader, entities

    def tags(self, tokens: Sequence[str]) -> list[str]:
        return list(self._reader.tags(tokens)) if tokens else []

    def predict(self, frame: pandas.DataFrame, params: dict[str, Any] | None = None) -> pandas.DataFrame:
        return pandas.DataFrame({"prediction": [self._one(text) for text in frame[TEXT].fillna("").astype(str)]})

    def _one(self, text: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for sentence in _lines(text):
            tags = self.tags([token for token, _, _ in sentence])
            if self._entities:
                found += spans(text, sentence, tags)
            else:
                found += [
                    {"token": token, "start": start, "end": end, "tag": tag}
                    for (token, start, end), tag in zip(sentence, tags, strict=True)
                ]
        return found


def _lines(text: str) -> list[list[tuple[str, int, int]]]:
    """Tokens sentence by sentence, as the model was trained."""
    tokens = reading.tokens(text)
    found, place = [], 0
    for _, _, end in preparing.sentences(text):
        stop = place
        while stop < len(tokens) and tokens[stop][1] < end:
            stop += 1
        found.append(tokens[place:stop])
        place = stop
    return [each for each in found if each]


def spans(text: str, tokens: Sequence[tuple[str, int, int]], tags: Sequence[str]) -> list[dict[str, Any]]:
    """Entities from B- and I-; an I- that continues nothing begins one, as conlleval reads it."""
    found: list[dict[str, Any]] = []
    before = OUTSIDE
    for (_, start, end), tag in zip(tokens, tags, strict=True):
        prefix, _, label = tag.partition("-")
        if prefix == "I" and before.partition("-")[2] == label and found:
            found[-1]["end"] = end
        elif tag != OUTSIDE:
            found.append({"start": start, "end": end, "label": label or tag})
        before = tag
    for each in found:
        each["text"] = text[each["start"] : each["end"]]
    return found


class Field:
    """CRFsuite's model in ``file``."""

    def __init__(self, file: str) -> None:
        import pycrfsuite

        self._crf = pycrfsuite.Tagger()
        self._crf.open(file)

    def tags(self, tokens: Sequence[str]) -> list[str]:
        return list(self._crf.tag(features(tokens)))


def load(folder: str) -> Tagger:
    with open(os.path.join(folder, "tagger.json"), encoding="utf-8") as file:
        entities = bool(json.load(file)["entities"])
    return Tagger(Field(os.path.join(folder, "tagger.crfsuite")), entities)


def train(sentences: Sequence[Sentence], file: str, *, rounds: int, algorithm: str) -> None:
    """Write CRFsuite's model to ``file``. ``algorithm``: ``ap`` (averaged perceptron: quick) or ``lbfgs``."""
    import pycrfsuite

    params: dict[str, Any] = {"max_iterations": rounds, "feature.possible_transitions": True}
    if algorithm == "lbfgs":
        params |= {"c1": 0.1, "c2": 0.01}
    else:
        params.pop("feature.possible_transitions")
    trainer = pycrfsuite.Trainer(algorithm=algorithm, params=params, verbose=False)
    for sentence in sentences:
        trainer.append(features(sentence.tokens), sentence.tags)
    trainer.train(file)


class MostFrequent:
    """The baseline: each word's most frequent tag; of unknown words the most frequent of all (entities: none)."""

    def __init__(self, sentences: Sequence[Sentence], entities: bool) -> None:
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        whole: Counter[str] = Counter()
        for sentence in sentences:
            for token, tag in zip(sentence.tokens, sentence.tags, strict=True):
                counts[token.lower()][tag] += 1
                whole[tag] += 1
        self._tags = {token: found.most_common(1)[0][0] for token, found in counts.items()}
        self._other = OUTSIDE if entities else whole.most_common(1)[0][0]

    def tags(self, tokens: Sequence[str]) -> list[str]:
        return [self._tags.get(token.lower(), self._other) for token in tokens]


def options(parser: argparse.ArgumentParser) -> None:
    choices.common(parser)
    parser.add_argument("--label", default="label")
    parser.add_argument("--labels", default="")
    parser.add_argument("--conflicts", choices=["error", "drop"], default="error")
    parser.add_argument("--further-data", default="")
    parser.add_argument("--rounds", type=choices.positive, default=20)
    parser.add_argument("--algorithm", choices=["ap", "lbfgs"], default="ap")
    tuning.options(parser)


def run(given: argparse.Namespace) -> None:
    """Raises BadData."""
    entities = given.task == "named-entity-recognition"
    sentences = _read(given.training_data, given, entities)
    if given.test_data:
        learn, test = sentences, _read(given.test_data, given, entities)
    else:
        keys = [" ".join(each.tokens).casefold() for each in sentences]
        out = splitting.held_out(keys, given.test_size, given.seed)
        learn = [each for each, side in zip(sentences, out, strict=True) if not side]
        test = [each for each, side in zip(sentences, out, strict=True) if side]
    if given.further_data:
        judged = {each.tokens for each in test}
        learn = learn + [each for each in _read(given.further_data, given, entities) if each.tokens not in judged]
    known = sorted({tag for each in learn for tag in each.tags})
    if len(known) < 2 and (given.epochs or not given.checkpoint):
        raise BadData(f"all tokens to train on have the tag '{known[0]}'; give sentences with at least two tags")

    def write(folder: str) -> None:
        if given.checkpoint:
            examples = [(each.tokens, each.tags) for each in learn]
            with tuning.tuned(given, lambda place, to: tuning.tagger(place, to, examples, given)) as place:
                checkpoints.write(folder, place, given.task)
            answers = checkpoints.load(folder)
            return evaluate(answers, MostFrequent(learn, entities), test, entities, given, len(learn))
        train(learn, os.path.join(folder, "tagger.crfsuite"), rounds=given.rounds, algorithm=given.algorithm)
        with open(os.path.join(folder, "tagger.json"), "w", encoding="utf-8") as file:
            json.dump({"entities": entities}, file)
        return evaluate(load(folder), MostFrequent(learn, entities), test, entities, given, len(learn))

    labels = sorted({tag.partition("-")[2] or tag for tag in known if tag != OUTSIDE}) if entities else known
    example = pandas.DataFrame({TEXT: [" ".join(each.tokens)[:300] for each in _telling(test)]})
    saving.model(
        given.model, "checkpoint" if given.checkpoint else "tagger", write, example, task=given.task,
        packages=("torch", "transformers") if given.checkpoint else ("python-crfsuite", "scikit-learn"),
        answer=pandas.DataFrame({"prediction": [_LIKE[entities]]}), metadata={"labels": labels},
    )  # fmt: skip


def _telling(test: Sequence[Sentence]) -> list[Sentence]:
    """Three sentences, those with entities first, so that the example shows what an answer is like."""
    return sorted(test, key=lambda each: all(tag == OUTSIDE for tag in each.tags))[:3]


def _read(path: str, given: argparse.Namespace, entities: bool) -> list[Sentence]:
    found = reading.sequences(
        path, text=given.text, label=given.label, allowed=choices.words(given.labels), encoding=given.encoding,
        spans=entities,
    )  # fmt: skip
    if given.contract:
        contracts.keep(_frame(path, found, given), given.contract, reading.called(path))
    if entities:
        _check_prefixes(found)
    return agreed(found, given.conflicts)


def _frame(path: str, found: Sequence[Sentence], given: argparse.Namespace) -> pandas.DataFrame:
    """What a contract is held against: rows of tables, and sentences of CoNLL, their tokens and tags with spaces."""
    tables = [file for file in reading.files(path, reading.ALL) if file.lower().endswith(reading.TABLES)]
    kept = [reading.frame(reading.rows(file, given.encoding)) for file in tables]
    of_tables = {reading.called(file) for file in tables}
    lines = [each for each in found if each.file not in of_tables]
    said = {given.text: [" ".join(each.tokens) for each in lines], given.label: [" ".join(each.tags) for each in lines]}
    return pandas.concat([*kept, pandas.DataFrame(said)] if lines else kept, ignore_index=True)


def _check_prefixes(sentences: Sequence[Sentence]) -> None:
    for sentence in sentences:
        for token, tag in zip(sentence.tokens, sentence.tags, strict=True):
            if tag != OUTSIDE and tag[:2] not in ("B-", "I-"):
                raise BadData(f"{sentence.place}: '{token}' has the tag '{tag}'; entities are B-LABEL, I-LABEL or O")


def agreed(sentences: Sequence[Sentence], conflicts: str) -> list[Sentence]:
    """Those whose text has the same tags wherever it comes. ``conflicts``: ``error``, or ``drop`` the others."""
    first: dict[tuple[str, ...], Sentence] = {}
    contested = set()
    for each in sentences:
        other = first.setdefault(each.tokens, each)
        if other.tags != each.tags:
            if conflicts == "error":
                place = next(n for n, (one, two) in enumerate(zip(each.tags, other.tags, strict=True)) if one != two)
                raise BadData(
                    f"{each.place}: '{each.tokens[place]}' has the tag '{each.tags[place]}', but "
                    f"'{other.tags[place]}' in {other.place}, the same text; decide for one, or set conflicts: drop"
                )
            contested.add(each.tokens)
    kept = [each for each in sentences if each.tokens not in contested]
    if not kept:
        raise BadData("all texts have conflicting tags; decide for one each")
    return kept


def evaluate(
    answers: Any, naive: Any, test: Sequence[Sentence], entities: bool, given: argparse.Namespace, learnt: int
) -> None:  # fmt: skip
    truth = [each.tags for each in test]
    said, base = ([tags.tags(each.tokens) for each in test] for tags in (answers, naive))
    measure = metrics.entities if entities else metrics.tags
    told = {**metrics.tags(truth, said), **measure(truth, said)}
    beside = {**metrics.tags(truth, base), **measure(truth, base)}

    def of(rows: list[int]) -> dict[str, float]:
        return measure([truth[row] for row in rows], [said[row] for row in rows])

    texts = [" ".join(each.tokens) for each in test]
    saving.evaluation(
        given.evaluation, task=given.task, primary="entity_f1" if entities else "accuracy", metrics=told,
        baseline="each word's most frequent tag", baseline_metrics=beside,
        rows={"train": learnt, "test": len(test)},
        slices=choices.slices(given, texts, of),
        tables={"labels": by_label(truth, said, entities)},
    )  # fmt: skip


def by_label(truth: Any, said: Any, entities: bool) -> pandas.DataFrame:
    """Precision, recall, F1 and support of each label."""
    if entities:
        from seqeval.metrics import classification_report

        found = classification_report([list(t) for t in truth], [list(t) for t in said], output_dict=True,
                                      zero_division=0)  # fmt: skip
    else:
        from sklearn.metrics import classification_report

        flat = [tag for tags in truth for tag in tags], [tag for tags in said for tag in tags]
        found = classification_report(*flat, output_dict=True, zero_division=0)
    rows = [{"label": name, **told} for name, told in found.items() if isinstance(told, dict) and " avg" not in name]
    return pandas.DataFrame(rows)
