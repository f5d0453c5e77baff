"""Text generation: a small GPT-2 (Radford et al. 2019) trained from nothing on texts, or a Hugging Face checkpoint that
is trained further, or judged as it is (``epochs: 0``).

The model takes a column ``text`` (what to go on from) and answers ``prediction`` (what follows), all at once or piece
by piece. ``max_new_tokens``, ``temperature`` (0: the likeliest piece each time), ``top_k`` and ``seed`` are parameters.
"""

from __future__ import annotations

import argparse
import math
import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pandas

from ..shared.problems import BadData
from . import checkpoints, metrics, networks, reading, saving, splitting
from . import options as choices

TEXT = "text"
PARAMS = {"max_new_tokens": 40, "temperature": 0.0, "top_k": 50, "seed": 0}


class Generator:
    def __init__(self, tokenizer: Any, model: Any) -> None:
        self.tokenizer, self.model = tokenizer, model.eval()
        self._longest = int(
            getattr(model.config, "n_positions", 0) or getattr(model.config, "max_position_embeddings", 0) or 1024
        )

    def pieces(self, text: str, params: dict[str, Any] | None = None) -> Iterator[str]:
        """What follows ``text``, piece by piece."""
        import torch

        asked = {**PARAMS, **(params or {})}
        chance = torch.Generator().manual_seed(int(asked["seed"]))
        known = self._start(text)
        written: list[int] = []
        told, past, fresh = "", None, known
        for _ in range(max(min(int(asked["max_new_tokens"]), self._longest - len(known)), 0)):
            with torch.no_grad():
                out = self.model(input_ids=torch.tensor([fresh]), cache=past, use_cache=True)
            past = out.cache
            chosen = self._choose(out.logits[0, -1], asked, chance)
            if chosen == self.tokenizer.eos_token_id:
                break
            written.append(chosen)
            fresh = [chosen]
            # A piece may be a part of a letter: it is told when the letter is whole.
            whole = self.tokenizer.decode([*known, *written], skip_special_tokens=True)[len(self._shown(known)) :]
            if not whole.endswith("\ufffd") and len(whole) > len(told):
                yield whole[len(told) :]
                told = whole

    def _start(self, text: str) -> list[int]:
        """The prompt's pieces, the last ones where it is too long; an end sign begins an empty one."""
        found = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return list(found[-(self._longest // 2) :]) or [self.tokenizer.eos_token_id]

    def _shown(self, known: list[int]) -> str:
        return str(self.tokenizer.decode(known, skip_special_tokens=True))

    def _choose(self, scores: Any, asked: dict[str, Any], chance: Any) -> int:
        import torch

        temperature = float(asked["temperature"])
        if temperature <= 0:
            return int(scores.argmax())
        best, places = scores.topk(min(max(int(asked["top_k"]), 1), len(scores)))
        drawn = torch.multinomial((best / temperature).softmax(0), 1, generator=chance)
        return int(places[drawn])

    def predict(self, frame: pandas.DataFrame, params: dict[str, Any] | None = None) -> pandas.DataFrame:
        texts = frame[TEXT].fillna("").astype(str)
        return pandas.DataFrame({"prediction": ["".join(self.pieces(text, params)) for text in texts]})

    def predict_stream(self, frame: Any, params: dict[str, Any] | None = None) -> Iterator[str]:
        """Of one row. Raises ValueError for several: their answers would be mixed."""
        texts = frame[TEXT].tolist() if hasattr(frame, "columns") else [frame[TEXT]]
        if len(texts) != 1:
            raise ValueError(f"a streamed answer is of one text, not of {len(texts)}")
        return self.pieces(str(texts[0]), params)


def load(folder: str) -> Generator:
    return _opened(os.path.join(folder, "checkpoint"))


def _opened(place: str) -> Generator:
    return Generator(*checkpoints.opened(place, "AutoModelForCausalLM"))


def options(parser: argparse.ArgumentParser) -> None:
    choices.common(parser)
    parser.add_argument("--checkpoint", default="")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=choices.positive, default=16)
    parser.add_argument("--learning-rate", type=float, default=0.001)
    parser.add_argument("--vocabulary", type=choices.positive, default=4000)
    parser.add_argument("--width", type=choices.positive, default=128)
    parser.add_argument("--layers", type=choices.positive, default=4)
    parser.add_argument("--context", type=choices.positive, default=128)
    parser.add_argument("--judged", type=choices.positive, default=200)


def run(given: argparse.Namespace) -> None:
    """Raises BadData."""
    texts = [str(row.values[given.text]) for row in choices.texts(given.training_data, given)]
    if given.test_data:
        learn, test = texts, [str(row.values[given.text]) for row in choices.texts(given.test_data, given)]
    else:
        out = splitting.held_out([reading.normalised(text) for text in texts], given.test_size, given.seed)
        learn = [each for each, side in zip(texts, out, strict=True) if not side]
        test = [each for each, side in zip(texts, out, strict=True) if side]
    if given.checkpoint:
        fitted = _opened(saving.checkpoint(given.checkpoint))
    elif given.epochs < 1:
        raise BadData("epochs is 0, and without a checkpoint nothing would have learnt; train for 1 or more")
    else:
        fitted = fresh(learn, given)
    fit(fitted, learn, given)
    evaluate(fitted, learn, test[: given.judged], given)
    example = pandas.DataFrame({TEXT: [" ".join(test[0].split()[:5])]})
    saving.model(
        given.model, "generator", lambda folder: _write(fitted, folder), example, task=given.task,
        packages=("torch", "transformers"), answer=pandas.DataFrame({"prediction": ["text"]}), params=PARAMS,
        metadata={"streams": True}, streamable=True,
    )  # fmt: skip


def fresh(texts: Sequence[str], given: argparse.Namespace) -> Generator:
    import torch
    import transformers

    tokenizer = networks.pieces(texts, given.vocabulary)
    torch.manual_seed(given.seed)
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer), n_embd=given.width, n_layer=given.layers, n_head=4, n_positions=given.context,
        bos_token_id=1, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    return Generator(tokenizer, transformers.GPT2LMHeadModel(config))


def fit(fitted: Generator, texts: Sequence[str], given: argparse.Namespace) -> None:
    """The texts one after another, cut into pieces of one length."""
    if given.epochs < 1:
        return
    import torch

    end = fitted.tokenizer.eos_token_id
    long = [token for text in texts for token in [*fitted.tokenizer(text, add_special_tokens=False)["input_ids"], end]]
    wide = min(given.context, max(len(long) - 1, 2))
    rows = [long[start : start + wide] for start in range(0, len(long) - wide + 1, wide)]
    size, chance = min(given.batch_size, len(rows)), random.Random(given.seed)

    def steps(epoch: int) -> Iterator[dict[str, Any]]:
        for some in networks.batches([wide] * len(rows), size, chance):
            inputs = torch.tensor([rows[row] for row in some])
            yield {"input_ids": inputs, "labels": inputs}

    count = -(-len(rows) // size)
    networks.train(fitted.model, steps, given.epochs, count, rate=given.learning_rate, seed=given.seed)


def evaluate(fitted: Generator, learn: Sequence[str], test: Sequence[str], given: argparse.Namespace) -> None:
    """Perplexity a piece and bits a character, beside those of pieces drawn by how often they come (unigrams).

    Bits a character can be compared between models with different pieces; perplexities a piece cannot.
    """
    losses, counts, naive = [], [], []
    unigrams = Counter(
        token for text in learn for token in fitted.tokenizer(text, add_special_tokens=False)["input_ids"]
    )  # fmt: skip
    whole = sum(unigrams.values()) + len(fitted.tokenizer)
    for text in test:
        loss, tokens = _loss(fitted, text)
        losses.append(loss)
        counts.append(len(tokens))
        naive.append(-sum(math.log((unigrams[token] + 1) / whole) for token in tokens))

    def told(rows: Sequence[int], of: Sequence[float]) -> dict[str, float]:
        some = [of[row] for row in rows]
        characters = sum(len(test[row]) for row in rows)
        return {
            "perplexity": metrics.perplexity(some, [counts[row] for row in rows]),
            "bits_per_character": sum(some) / math.log(2) / characters,
        }

    rows = range(len(test))
    saving.evaluation(
        given.evaluation, task=given.task, primary="bits_per_character", metrics=told(rows, losses),
        baseline="how often pieces come", baseline_metrics=told(rows, naive),
        rows={"train": len(learn), "test": len(test)},
        slices=choices.slices(given, test, lambda some: told(some, losses)),
    )  # fmt: skip


def _loss(fitted: Generator, text: str) -> tuple[float, list[int]]:
    """Negative log-likelihood in nats of the text's pieces, the first ones that fit, after an end sign."""
    import torch

    tokens = fitted.tokenizer(text, add_special_tokens=False)["input_ids"][: fitted._longest - 1]
    start = fitted.tokenizer.eos_token_id
    inputs = torch.tensor([[start, *tokens]])
    with torch.no_grad():
        logs = fitted.model(input_ids=inputs).logits[0, :-1].log_softmax(-1)
    return -float(logs[torch.arange(len(tokens)), inputs[0, 1:]].sum()), list(tokens)


def _write(fitted: Generator, folder: str) -> None:
    place = os.path.join(folder, "checkpoint")
    fitted.model.save_pretrained(place)
    fitted.tokenizer.save_pretrained(place)
