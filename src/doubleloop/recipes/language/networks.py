"""What the small networks of translation and generation have alike: pieces of words, batches, training."""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..shared.problems import BadData

PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"


def pieces(texts: Sequence[str], size: int) -> Any:
    """A tokenizer of byte pair encoding (Sennrich et al. 2016) fitted to ``texts``, as transformers saves one.

    Raises BadData for texts too few to fit it to.
    """
    import transformers
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    inner = Tokenizer(models.BPE(unk_token=UNKNOWN))
    inner.normalizer = normalizers.NFKC()
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=[PAD, END, UNKNOWN], show_progress=False)
    inner.train_from_iterator(texts, trainer)
    if inner.get_vocab_size() < 10:
        raise BadData(f"{len(texts)} texts hold too few letters to learn from; give more")
    inner.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token=PAD, eos_token=END, unk_token=UNKNOWN
    )  # fmt: skip


def batches(lengths: Sequence[int], size: int, chance: random.Random) -> list[list[int]]:
    """Numbers of rows, like lengths together so that little is padded, the batches in an order by chance."""
    order = sorted(range(len(lengths)), key=lambda row: (lengths[row], chance.random()))
    found = [order[start : start + size] for start in range(0, len(order), size)]
    chance.shuffle(found)
    return found


def train(
    model: Any, steps: Callable[[int], Iterator[dict[str, Any]]], epochs: int, count: int, *, rate: float, seed: int
) -> None:  # fmt: skip
    """AdamW with a warm-up of a tenth and a cosine to nothing (Loshchilov and Hutter 2017). ``steps`` gives the
    batches of an epoch, ``count`` of each. Losses go into the MLflow run."""
    import torch

    from ..shared import evaluations

    torch.manual_seed(seed)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or 1))
    chosen = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    whole = max(epochs * count, 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        chosen, lambda step: min((step + 1) / max(whole / 10, 1), 0.5 * (1 + math.cos(math.pi * step / whole)))
    )
    began, model = time.monotonic(), model.train()
    for epoch in range(epochs):
        losses = []
        for batch in steps(epoch):
            loss = model(**batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            chosen.step()
            schedule.step()
            chosen.zero_grad()
            losses.append(float(loss.detach()))
        mean = sum(losses) / len(losses)
        print(f"epoch {epoch + 1} of {epochs}: loss {mean:.3f}, {time.monotonic() - began:.0f} s")
        evaluations.log({"loss": mean}, step=epoch)
    model.eval()


def padded(rows: Sequence[Sequence[int]], fill: int) -> Any:
    import torch

    wide = max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (wide - len(row))] for row in rows])
