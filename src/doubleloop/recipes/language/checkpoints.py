"""Hugging Face checkpoints in a folder, as classifier, tagger, reader or encoder. torch and transformers are imported
here alone; nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from typing import Any

import numpy
import pandas

from ..shared.problems import BadData

TEXT = "text"
AT_ONCE = 32  # texts in one forward pass
MOST_PIECES = 512  # that a text may have where a model says nothing of it


def loaded(folder: str, kind: str, **more: Any) -> tuple[Any, Any]:
    """Tokenizer and model, in evaluation mode. ``kind``: which of transformers' AutoModel classes; ``more`` goes there.

    The tokenizer knows how much the model takes, has something to pad with, and takes texts that are words already.
    """
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    try:
        tokenizer(["a"], is_split_into_words=True)
    except (AssertionError, ValueError):  # those of bytes (GPT-2's, RoBERTa's), unless a space stands before each word
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, add_prefix_space=True)
    model = getattr(transformers, kind).from_pretrained(folder, local_files_only=True, **more)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if getattr(model.config, "pad_token_id", None) is None:
        model.config.pad_token_id = tokenizer.pad_token_id
    tokenizer.model_max_length = min(tokenizer.model_max_length, positions(model.config))
    return tokenizer, model.eval()


def opened(folder: str, kind: str, **more: Any) -> tuple[Any, Any]:
    """As ``loaded``, of a folder that somebody gave. Raises BadData for what transformers cannot open so."""
    try:
        return loaded(folder, kind, **more)
    except (OSError, ValueError, KeyError, ImportError) as error:
        said = " ".join(str(error).split())[:300]
        raise BadData(f"the checkpoint cannot be opened as {kind}: {said}") from error


def positions(config: Any) -> int:
    """How many pieces a model has places for."""
    found = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    if not isinstance(found, int) or found < 1:
        return MOST_PIECES
    # Where padding has a number of its own, RoBERTa and its kin begin to count behind it.
    return found - 1 - int(config.pad_token_id or 0) if "roberta" in config.model_type else found


class Encoder:
    """Mean of the last hidden states over a text's own tokens, of length 1 (Reimers and Gurevych 2019)."""

    def __init__(self, folder: str) -> None:
        self._tokenizer, self._model = loaded(folder, "AutoModel")

    def transform(self, texts: Sequence[str]) -> Any:
        """(texts, size), float32."""
        import torch

        found = []
        for start in range(0, len(texts), AT_ONCE):
            batch = self._tokenizer(
                list(texts[start : start + AT_ONCE]), padding=True, truncation=True,
                max_length=min(256, self._tokenizer.model_max_length), return_tensors="pt",
            )  # fmt: skip
            with torch.no_grad():
                hidden = self._model(**batch).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1)
            mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
            found.append(torch.nn.functional.normalize(mean, dim=1).numpy())
        return numpy.vstack(found)


class Reader:
    """Extractive question answering: the span whose start and end have the highest sum of scores."""

    def __init__(self, folder: str) -> None:
        self._tokenizer, self._model = loaded(folder, "AutoModelForQuestionAnswering")

    def span(self, question: str, context: str, longest: int = 30) -> tuple[str, float]:
        """The answer and its probability (product of the softmax of start and end within the context)."""
        import torch

        batch = self._tokenizer(
            question, context, truncation="only_second", max_length=min(384, self._tokenizer.model_max_length),
            return_offsets_mapping=True, return_tensors="pt",
        )  # fmt: skip
        places = batch.pop("offset_mapping")[0].tolist()
        inside = torch.tensor([part == 1 for part in batch.encodings[0].sequence_ids])
        with torch.no_grad():
            out = self._model(**batch)
        start, end = (
            torch.where(inside, each[0], torch.tensor(float("-inf"))).log_softmax(0)
            for each in (out.start_logits, out.end_logits)
        )
        scores = start[:, None] + end[None, :]
        allowed = torch.ones_like(scores, dtype=torch.bool).triu() & torch.ones_like(scores, dtype=torch.bool).tril(
            longest - 1
        )
        best = int(torch.where(allowed, scores, torch.tensor(float("-inf"))).argmax())
        one, two = divmod(best, len(end))
        return context[places[one][0] : places[two][1]].strip(), float(scores[one, two].exp())


class Classifier:
    """A checkpoint for sequence classification, with the answers of the linear one."""

    def __init__(self, folder: str) -> None:
        self._tokenizer, self._model = loaded(folder, "AutoModelForSequenceClassification")
        names = self._model.config.id2label
        self.classes = [str(names[number]) for number in sorted(names)]

    def shares(self, texts: Sequence[str]) -> Any:
        import torch

        found = []
        for start in range(0, len(texts), AT_ONCE):
            batch = self._tokenizer(
                list(texts[start : start + AT_ONCE]), padding=True, truncation=True, return_tensors="pt"
            )  # fmt: skip
            with torch.no_grad():
                found.append(self._model(**batch).logits.softmax(1).numpy())
        return numpy.vstack(found).astype(float)

    def predict(self, frame: pandas.DataFrame, params: dict[str, Any] | None = None) -> pandas.DataFrame:
        shares = self.shares(frame[TEXT].fillna("").astype(str).tolist())
        said = [self.classes[place] for place in shares.argmax(axis=1)]
        return pandas.DataFrame({"prediction": said, "probabilities": list(shares)})


class TagReader:
    """A checkpoint for token classification: each token has the tag of its first piece."""

    def __init__(self, folder: str) -> None:
        self._tokenizer, self._model = loaded(folder, "AutoModelForTokenClassification")
        self.labels = {int(number): str(name) for number, name in self._model.config.id2label.items()}

    def tags(self, tokens: Sequence[str]) -> list[str]:
        import torch

        batch = self._tokenizer(list(tokens), is_split_into_words=True, truncation=True, return_tensors="pt")
        words = batch.word_ids()
        with torch.no_grad():
            said = self._model(**batch).logits[0].argmax(1).tolist()
        found = ["O"] * len(tokens)  # also of tokens beyond what the checkpoint can take
        for piece in reversed(range(len(words))):
            if words[piece] is not None:
                found[words[piece]] = self.labels[said[piece]]
        return found


def load(folder: str) -> Any:
    with open(os.path.join(folder, "checkpoint.json"), encoding="utf-8") as file:
        task = json.load(file)["task"]
    inner = os.path.join(folder, "checkpoint")
    if task in ("named-entity-recognition", "part-of-speech-tagging"):
        from . import tagging

        return tagging.Tagger(TagReader(inner), task == "named-entity-recognition")
    return Classifier(inner)


def write(folder: str, checkpoint: str, task: str) -> None:
    shutil.copytree(checkpoint, os.path.join(folder, "checkpoint"))
    with open(os.path.join(folder, "checkpoint.json"), "w", encoding="utf-8") as file:
        json.dump({"task": task}, file)
