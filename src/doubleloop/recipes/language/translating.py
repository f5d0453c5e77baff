"""Translation by a small transformer (Vaswani et al. 2017; Marian's configuration in transformers), trained from
nothing on pairs of sentences, or a Hugging Face checkpoint that is trained further, or judged as it is (``epochs: 0``).

What it knows is what the pairs are about; it is no translator of everything.
The model takes a column ``text`` and answers ``prediction``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas

from ..shared.problems import BadData
from . import checkpoints, metrics, networks, reading, saving, splitting
from . import options as choices

TEXT = "text"
LONGEST = 128  # pieces of a sentence that are read, and that are written
AT_ONCE = 32


@dataclass(frozen=True)
class How:
    """What a checkpoint of many tasks or languages is told: ``prefix`` stands before each text (T5's ``translate
    English to German: ``); ``source`` and ``language`` are those that it reads and writes, by its own codes (``en_XX``,
    ``deu_Latn``)."""

    prefix: str = ""
    source: str = ""
    language: str = ""


class Translator:
    """Raises BadData for a language that the checkpoint does not know."""

    def __init__(self, tokenizer: Any, model: Any, how: How) -> None:
        self.tokenizer, self.model, self.how = tokenizer, model.eval(), how
        self.longest = min(LONGEST, checkpoints.positions(model.config) - 1)
        self._first = {"forced_bos_token_id": _language(tokenizer, how.language)} if how.language else {}
        if how.source:
            _language(tokenizer, how.source)
            tokenizer.src_lang = how.source
        if how.language:
            tokenizer.tgt_lang = how.language

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """Of what is read."""
        given = [self.how.prefix + text for text in texts]
        return list(self.tokenizer(given, truncation=True, max_length=self.longest)["input_ids"])

    def written(self, texts: Sequence[str]) -> list[list[int]]:
        """Of what is written: some checkpoints have other pieces for it (Marian's), or another language's sign."""
        found = self.tokenizer(text_target=list(texts), truncation=True, max_length=self.longest)
        return list(found["input_ids"])

    def translate(self, texts: Sequence[str]) -> list[str]:
        """Greedily: the likeliest piece each time."""
        import torch

        found: list[str] = []
        for start in range(0, len(texts), AT_ONCE):
            batch = self.tokenizer(
                [self.how.prefix + text for text in texts[start : start + AT_ONCE]], padding=True, truncation=True,
                max_length=self.longest, return_tensors="pt", return_token_type_ids=False,
            )  # fmt: skip
            with torch.no_grad():
                made = self.model.generate(
                    **batch, **self._first, num_beams=1, do_sample=False, max_new_tokens=self.longest
                )
            found += self.tokenizer.batch_decode(made, skip_special_tokens=True)
        return [text.strip() for text in found]

    def predict(self, frame: pandas.DataFrame, params: dict[str, Any] | None = None) -> pandas.DataFrame:
        texts = frame[TEXT].fillna("").astype(str).tolist()
        full = [text for text in texts if text.strip()]
        made = iter(self.translate(full)) if full else iter(())
        return pandas.DataFrame({"prediction": [next(made) if text.strip() else "" for text in texts]})


def _language(tokenizer: Any, code: str) -> int:
    """The piece that says the language. Raises BadData."""
    sign = f"__{code}__" if hasattr(tokenizer, "get_lang_id") else code  # M2M100's are __de__
    found = tokenizer.convert_tokens_to_ids(sign)
    if found is None or found == tokenizer.unk_token_id:
        raise BadData(f"the checkpoint knows no language '{code}'; give one by the code that it has itself, or none")
    return int(found)


def load(folder: str) -> Translator:
    file, how = os.path.join(folder, "translator.json"), How()
    if os.path.isfile(file):
        with open(file, encoding="utf-8") as opened:
            how = How(**json.load(opened))
    return Translator(*checkpoints.loaded(os.path.join(folder, "checkpoint"), "AutoModelForSeq2SeqLM"), how)


def options(parser: argparse.ArgumentParser) -> None:
    choices.common(parser)
    parser.add_argument("--target", default="translation")
    parser.add_argument("--checkpoint", default="")
    parser.add_argument("--prefix", default="")
    parser.add_argument("--source-language", default="")
    parser.add_argument("--target-language", default="")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=choices.positive, default=64)
    parser.add_argument("--learning-rate", type=float, default=0.002)
    parser.add_argument("--vocabulary", type=choices.positive, default=4000)
    parser.add_argument("--width", type=choices.positive, default=192)
    parser.add_argument("--layers", type=choices.positive, default=2)
    parser.add_argument("--judged", type=choices.positive, default=400)


def run(given: argparse.Namespace) -> None:
    """Raises BadData."""
    pairs = _pairs(given.training_data, given)
    if given.test_data:
        learn, test = pairs, _pairs(given.test_data, given)
    else:
        out = splitting.held_out([reading.normalised(text) for text, _ in pairs], given.test_size, given.seed)
        learn = [each for each, side in zip(pairs, out, strict=True) if not side]
        test = [each for each, side in zip(pairs, out, strict=True) if side]
    if given.checkpoint:
        how = How(
            f"{given.prefix.strip()} " if given.prefix.strip() else "", given.source_language, given.target_language
        )
        fitted = Translator(*checkpoints.opened(saving.checkpoint(given.checkpoint), "AutoModelForSeq2SeqLM"), how)
    elif given.epochs < 1:
        raise BadData("epochs is 0, and without a checkpoint nothing would have learnt; train for 1 or more")
    else:
        fitted = fresh(learn, given)
    fit(fitted, learn, given)
    test = test[: given.judged]
    evaluate(fitted, test, given, len(learn))
    example = pandas.DataFrame({TEXT: [text[:300] for text, _ in test[:2]]})
    saving.model(
        given.model, "translator", lambda folder: _write(fitted, folder), example, task=given.task,
        packages=("torch", "transformers"), metadata={"pairs": len(learn)},
    )  # fmt: skip


def _pairs(path: str, given: argparse.Namespace) -> list[tuple[str, str]]:
    found = reading.texts(choices.texts(path, given), given.target, empty=given.empty, most_chars=given.max_chars)
    return [(str(row.values[given.text]), str(row.values[given.target])) for row in found]


def fresh(pairs: Sequence[tuple[str, str]], given: argparse.Namespace) -> Translator:
    import torch
    import transformers

    tokenizer = networks.pieces([text for pair in pairs for text in pair], given.vocabulary)
    torch.manual_seed(given.seed)
    config = transformers.MarianConfig(
        vocab_size=len(tokenizer), d_model=given.width, encoder_layers=given.layers, decoder_layers=given.layers,
        encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=4 * given.width,
        decoder_ffn_dim=4 * given.width, max_position_embeddings=2 * LONGEST, pad_token_id=0, eos_token_id=1,
        decoder_start_token_id=0, forced_eos_token_id=None, dropout=0.1, scale_embedding=True,
        # Words as large as the sines of their places, or order is all that is heard for hundreds of steps.
        init_std=given.width**-0.5, bos_token_id=None,
    )  # fmt: skip
    return Translator(tokenizer, transformers.MarianMTModel(config), How())


def fit(fitted: Translator, pairs: Sequence[tuple[str, str]], given: argparse.Namespace) -> None:
    if given.epochs < 1:
        return
    tokenizer, chance = fitted.tokenizer, random.Random(given.seed)
    ins, outs = fitted.pieces([text for text, _ in pairs]), fitted.written([text for _, text in pairs])
    pad = tokenizer.pad_token_id
    size = min(given.batch_size, len(pairs))

    def steps(epoch: int) -> Iterator[dict[str, Any]]:
        for rows in networks.batches([len(each) for each in ins], size, chance):
            inputs = networks.padded([ins[row] for row in rows], pad)
            labels = networks.padded([outs[row] for row in rows], -100)
            yield {"input_ids": inputs, "attention_mask": (inputs != pad).long(), "labels": labels}

    count = -(-len(pairs) // size)
    networks.train(fitted.model, steps, given.epochs, count, rate=given.learning_rate, seed=given.seed)


def evaluate(fitted: Translator, test: Sequence[tuple[str, str]], given: argparse.Namespace, learnt: int) -> None:
    """BLEU and chrF beside those of leaving the text as it is."""
    texts, truth = [text for text, _ in test], [[wanted] for _, wanted in test]
    said = fitted.translate(texts)

    def measure(rows: list[int]) -> dict[str, float]:
        return metrics.translations([truth[row] for row in rows], [said[row] for row in rows])

    saving.evaluation(
        given.evaluation, task=given.task, primary="chrf", metrics=metrics.translations(truth, said),
        baseline="the text as it is", baseline_metrics=metrics.translations(truth, texts),
        rows={"train": learnt, "test": len(test)},
        slices=choices.slices(given, texts, measure),
        tables={"predictions": pandas.DataFrame({"text": texts, "wanted": [each[0] for each in truth], "said": said})},
    )  # fmt: skip


def _write(fitted: Translator, folder: str) -> None:
    place = os.path.join(folder, "checkpoint")
    fitted.model.save_pretrained(place)
    fitted.tokenizer.save_pretrained(place)
    with open(os.path.join(folder, "translator.json"), "w", encoding="utf-8") as file:
        json.dump(asdict(fitted.how), file, ensure_ascii=False)
