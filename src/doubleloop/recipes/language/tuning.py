"""Hugging Face checkpoints trained further, all of their weights, on texts with labels, tags or answers (Devlin et al.
2019, *BERT*): a new head where the labels are others than the checkpoint's. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..shared.problems import BadData
from . import checkpoints, networks, saving
from . import options as choices

UNJUDGED = -100  # what transformers' losses leave out
STRIDE = 64  # pieces that windows of a long context have alike


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", default="")
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--batch-size", type=choices.positive, default=16)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--longest", type=choices.positive, default=256)


@contextlib.contextmanager
def tuned(given: argparse.Namespace, fit: Callable[[str, str], None]) -> Iterator[str]:
    """The folder of the checkpoint; with ``epochs``, of what comes of it by ``fit(from, to)``. Raises BadData."""
    place = saving.checkpoint(given.checkpoint)
    if given.epochs < 1:
        yield place
        return
    with tempfile.TemporaryDirectory() as folder:
        fit(place, folder)
        yield folder


def classifier(place: str, folder: str, pairs: Sequence[tuple[str, str]], given: argparse.Namespace) -> None:
    """``pairs``: text and label."""
    labels = sorted({label for _, label in pairs})
    tokenizer, model = _opened(place, "AutoModelForSequenceClassification", labels)
    found = tokenizer([text for text, _ in pairs], truncation=True, max_length=_longest(tokenizer, given))
    places = model.config.label2id
    rows = [{"input_ids": pieces, "labels": places[label]}
            for pieces, (_, label) in zip(found["input_ids"], pairs, strict=True)]  # fmt: skip
    _fit(tokenizer, model, rows, folder, given)


def tagger(
    place: str, folder: str, sentences: Sequence[tuple[Sequence[str], Sequence[str]]], given: argparse.Namespace
) -> None:
    """``sentences``: tokens and their tags. A token's tag is learnt at its first piece, where it is read, too."""
    labels = sorted({tag for _, tags in sentences for tag in tags})
    tokenizer, model = _opened(place, "AutoModelForTokenClassification", labels)
    found = tokenizer(
        [list(tokens) for tokens, _ in sentences], is_split_into_words=True, truncation=True,
        max_length=_longest(tokenizer, given),
    )  # fmt: skip
    rows = []
    for number, (_, tags) in enumerate(sentences):
        words = found.word_ids(number)
        first = [word is not None and word not in words[:piece] for piece, word in enumerate(words)]
        rows.append({
            "input_ids": found["input_ids"][number],
            "labels": [model.config.label2id[tags[word]] if begins else UNJUDGED
                       for word, begins in zip(words, first, strict=True)],
        })  # fmt: skip
    _fit(tokenizer, model, rows, folder, given)


def reader(
    place: str, folder: str, questions: Sequence[tuple[str, str | None, Sequence[str]]], given: argparse.Namespace
) -> None:
    """``questions``: question, context, answers. What the context does not hold word for word is left out.

    Raises BadData when nothing is left.
    """
    tokenizer, model = _opened(place, "AutoModelForQuestionAnswering")
    rows = [row for question, context, answers in questions
            for row in _windows(tokenizer, question, context or "", answers, given)]  # fmt: skip
    if not rows:
        raise BadData("no context holds the answer to its question, so there is nothing to train on; set epochs: 0")
    _fit(tokenizer, model, rows, folder, given)


def _windows(
    tokenizer: Any, question: str, context: str, answers: Sequence[str], given: argparse.Namespace
) -> list[dict[str, Any]]:
    """Parts of the context that hold the first answer that it has, with the pieces where that starts and ends."""
    answer = next((each for each in answers if each and each in context), None)
    if answer is None:
        return []
    begin = context.index(answer)
    end, most = begin + len(answer), _longest(tokenizer, given)
    found = tokenizer(
        question, context, truncation="only_second", max_length=most, stride=min(STRIDE, most // 4),
        return_overflowing_tokens=True, return_offsets_mapping=True,
    )  # fmt: skip
    rows = []
    for number, spans in enumerate(found["offset_mapping"]):
        inside = [piece for piece, part in enumerate(found.sequence_ids(number)) if part == 1]
        starts = [piece for piece in inside if spans[piece][0] <= begin < spans[piece][1]]
        ends = [piece for piece in inside if spans[piece][0] < end <= spans[piece][1]]
        if starts and ends:
            kept = {name: found[name][number] for name in ("input_ids", "token_type_ids") if name in found}
            rows.append({**kept, "start_positions": starts[0], "end_positions": ends[-1]})
    return rows


def _opened(place: str, kind: str, labels: Sequence[str] = ()) -> tuple[Any, Any]:
    """Tokenizer and model, with a head for ``labels``. Raises BadData."""
    import transformers

    own: dict[int, str] = {}
    more: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError, KeyError):  # what is wrong is told when it is opened
        own = transformers.AutoConfig.from_pretrained(place, local_files_only=True).id2label or {}
    if labels and set(map(str, own.values())) != set(labels):
        more = {"id2label": dict(enumerate(labels)), "label2id": {name: n for n, name in enumerate(labels)},
                "ignore_mismatched_sizes": True}  # fmt: skip
    tokenizer, model = checkpoints.opened(place, kind, **more)
    if labels:
        model.config.label2id = {str(name): int(number) for number, name in model.config.id2label.items()}
    return tokenizer, model


def _longest(tokenizer: Any, given: argparse.Namespace) -> int:
    return int(min(given.longest, tokenizer.model_max_length))


def _fit(tokenizer: Any, model: Any, rows: Sequence[dict[str, Any]], folder: str, given: argparse.Namespace) -> None:
    import torch

    chance = random.Random(given.seed)
    size = min(given.batch_size, len(rows))
    tokenizer.padding_side = "right"  # as labels of pieces are padded
    scalars = [name for name in rows[0] if isinstance(rows[0][name], int)]

    def steps(epoch: int) -> Iterator[dict[str, Any]]:
        for some in networks.batches([len(row["input_ids"]) for row in rows], size, chance):
            chosen = [rows[each] for each in some]
            texts = [{name: row[name] for name in row if name in ("input_ids", "token_type_ids")} for row in chosen]
            batch = dict(tokenizer.pad(texts, return_tensors="pt"))
            batch |= {name: torch.tensor([row[name] for row in chosen]) for name in scalars}
            if "labels" not in batch and "labels" in chosen[0]:
                batch["labels"] = networks.padded([row["labels"] for row in chosen], UNJUDGED)
            yield batch

    networks.train(model, steps, given.epochs, -(-len(rows) // size), rate=given.learning_rate, seed=given.seed)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
