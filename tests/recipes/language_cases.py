"""Trains a translator and a generator, and opens small checkpoints of one's own making; prints what came of it as JSON.

Run with torch and transformers on the path: ``python language_cases.py FOLDER``.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import sys
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas

from doubleloop.recipes.language import checkpoints, tagging
from doubleloop.recipes.shared import run
from doubleloop.scorer import mlflow_model

WORDS = {"red": "rosso", "dog": "cane", "cat": "gatto", "big": "grande", "sees": "vede", "the": "il", "old": "vecchio"}
FOLDER = Path(sys.argv[1])


def made(name: str, module: str, *words: Any) -> tuple[int, str]:
    told = io.StringIO()
    place = ["--model", f"{FOLDER}/{name}", "--evaluation", f"{FOLDER}/{name}-e"]
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(sys.__stderr__):
        return run.main([f"language.{module}", *map(str, words), *place]), told.getvalue()


def told(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}-e" / "metrics.json").read_text())
    return found


def table(name: str, rows: list[dict[str, Any]]) -> Path:
    (FOLDER / name).write_text("\n".join(map(json.dumps, rows)))
    return FOLDER / name


def translation() -> dict[str, Any]:
    chance = random.Random(0)
    rows = []
    for _ in range(600):
        words = chance.choices(list(WORDS), k=chance.randint(2, 5))
        rows.append({"text": " ".join(words), "translation": " ".join(WORDS[word] for word in words)})
    data = table("pairs.jsonl", rows)
    size = ["--vocabulary", 60, "--width", 64, "--layers", 1, "--batch-size", 16, "--learning-rate", 0.003]
    code = made("t", "translating", "--task", "translation", "--training-data", data, "--epochs", 8, *size)
    model = mlflow.pyfunc.load_model(str(FOLDER / "t"))
    said = model.predict(pandas.DataFrame({"text": ["the dog sees the cat", ""]}))["prediction"].tolist()
    again = made("t2", "translating", "--task", "translation", "--training-data", data, "--epochs", 0,
                 "--checkpoint", FOLDER / "t" / "data" / Path(inner("t")) / "checkpoint")  # fmt: skip
    none = made("t3", "translating", "--task", "translation", "--training-data", data, "--epochs", 0)
    return {
        "code": code,
        "told": told("t"),
        "said": said,
        "again": again,
        "same": told("t2")["metrics"],
        "none": none,
        "others": others(data),
    }


def others(data: Path) -> dict[str, Any]:
    """A T5, which is told its task; a checkpoint of two languages with few places; a language unknown to it."""
    import transformers

    from doubleloop.recipes.language import networks, translating

    pieces = networks.pieces([" ".join(WORDS), " ".join(WORDS.values()), "translate English to Italian:"] * 9, 90)
    pieces.add_special_tokens({"additional_special_tokens": ["en_XX", "it_IT"]})
    few = {"vocab_size": len(pieces), "d_model": 16, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    small = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
             "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "max_position_embeddings": 12}  # fmt: skip
    t5 = transformers.T5Config(**few, d_ff=16, num_layers=1, num_heads=2, d_kv=8)
    transformers.T5ForConditionalGeneration(t5).save_pretrained(FOLDER / "t5")
    transformers.MBartForConditionalGeneration(transformers.MBartConfig(**few, **small)).save_pretrained(
        FOLDER / "mbart"
    )
    for name in ("t5", "mbart"):
        pieces.save_pretrained(FOLDER / name)
        settings = json.loads((FOLDER / name / "tokenizer_config.json").read_text())
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
        (FOLDER / name / "tokenizer_config.json").write_text(json.dumps(settings))
    asked = ["translating", "--task", "translation", "--training-data", data, "--epochs", 1, "--judged", 5]
    codes = [
        made("t5-t", *asked, "--checkpoint", FOLDER / "t5", "--prefix", "translate English to Italian:"),
        made(
            "mbart-t",
            *asked,
            "--checkpoint",
            FOLDER / "mbart",
            "--source-language",
            "en_XX",
            "--target-language",
            "it_IT",
        ),
        made("mbart-x", *asked, "--checkpoint", FOLDER / "mbart", "--target-language", "de_DE"),
    ]  # fmt: skip
    loaded = {name: translating.load(str(next((FOLDER / name / "data").iterdir()))) for name in ("t5-t", "mbart-t")}
    batch = pieces(["the dog"], return_tensors="pt", return_token_type_ids=False)
    made_of = loaded["mbart-t"].model.generate(**batch, **loaded["mbart-t"]._first, max_new_tokens=3)
    long = loaded["mbart-t"].translate(["the dog sees " * 30])
    return {"codes": codes, "how": [each.how.__dict__ for each in loaded.values()], "long": len(long),
            "first": pieces.convert_ids_to_tokens(int(made_of[0, 1])),
            "read": pieces.decode(loaded["t5-t"].pieces(["dog"])[0], skip_special_tokens=True)}  # fmt: skip


def inner(name: str) -> str:
    """The folder of a model's own files within MLflow's ``data``."""
    (found,) = [each for each in (FOLDER / name / "data").iterdir() if each.is_dir()]
    return found.name


def generation() -> dict[str, Any]:
    rows = [{"text": f"number {n} is followed by number {n + 1} and so on"} for n in range(300)]
    size = ["--vocabulary", 80, "--width", 48, "--layers", 2, "--context", 32, "--epochs", 6, "--learning-rate", 0.005]
    code = made("g", "generating", "--task", "text-generation", "--training-data", table("texts.jsonl", rows), *size)
    model = mlflow.pyfunc.load_model(str(FOLDER / "g"))
    frame = pandas.DataFrame({"text": ["number 7 is"]})
    scorer = mlflow_model.MlflowModel({"model_dir": str(FOLDER / "g")})
    asked = {"rows": 1, "input": [["number 7 is"]], "params": {"max_new_tokens": 40}}
    return {
        "scorer": [scorer.describe()["streams"], list(scorer.predict_stream(asked))],
        "code": code,
        "told": told("g"),
        "said": model.predict(frame)["prediction"].tolist(),
        "pieces": list(model.predict_stream(frame)),
        "drawn": [
            model.predict(frame, params={"temperature": 1.5, "seed": seed, "max_new_tokens": 8})["prediction"][0]
            for seed in (1, 1, 2)
        ],
        "short": model.predict(frame, params={"max_new_tokens": 2})["prediction"].tolist(),
    }


def small_checkpoints() -> dict[str, Any]:
    """Untrained ones: what they say is noise, but they are loaded, judged, saved and asked as any other."""
    import transformers

    from doubleloop.recipes.language import networks

    texts = ["Ada went to Paris", "nobody left"]
    tokenizer = networks.pieces(texts * 20, 60)
    sizes = {"vocab_size": len(tokenizer), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
             "intermediate_size": 32, "pad_token_id": 0}  # fmt: skip
    names = {"ForSequenceClassification": ["neg", "pos"], "ForTokenClassification": ["O", "B-PER", "I-PER"],
             "ForQuestionAnswering": None, "Model": None}  # fmt: skip
    for kind, labels in names.items():
        more = {"id2label": dict(enumerate(labels)), "num_labels": len(labels)} if labels else {}
        config = transformers.BertConfig(**sizes, **more)
        getattr(transformers, f"Bert{kind}")(config).save_pretrained(FOLDER / kind)
        tokenizer.save_pretrained(FOLDER / kind)
    labelled = table(
        "moods.jsonl", [{"text": f"{texts[n % 2]} {n}", "label": ["neg", "pos"][n % 2]} for n in range(20)]
    )
    (FOLDER / "tags.conll").write_text("Ada B-PER\nleft O\n\nit O\nran O\n\n")
    asked = table("asked.jsonl", [{"question": "Who went?", "context": "Ada went to Paris. He left.", "answer": "Ada"}])
    codes = [
        made("c", "classifying", "--task", "sentiment", "--training-data", labelled, "--checkpoint",
             FOLDER / "ForSequenceClassification"),
        made("n", "tagging", "--task", "named-entity-recognition", "--training-data", FOLDER / "tags.conll",
             "--checkpoint", FOLDER / "ForTokenClassification"),
        made("q", "answering", "--task", "question-answering", "--training-data", asked, "--checkpoint",
             FOLDER / "ForQuestionAnswering"),
        made("e", "preparing", "--task", "text-embeddings", "--training-data", labelled, "--checkpoint",
             FOLDER / "Model", "--output", FOLDER / "eo"),
    ]  # fmt: skip
    one = pandas.DataFrame({"text": ["Ada left"]})
    models = {name: mlflow.pyfunc.load_model(str(FOLDER / name)) for name in "cnqe"}
    answer = models["q"].predict(pandas.DataFrame({"question": ["Who?"], "context": ["Ada went to Paris. He left."]}))
    tags = checkpoints.TagReader(str(FOLDER / "ForTokenClassification")).tags(["Ada", "left", "."])
    classes = models["c"].predict(one)
    return {
        "codes": codes,
        "class": [classes["prediction"][0], float(sum(classes["probabilities"][0]))],
        "entities": models["n"].predict(one)["prediction"][0],
        "tags": tags,
        "outside": tagging.OUTSIDE,
        "answer": answer.to_dict("records")[0],
        "vector": len(models["e"].predict(one)["prediction"][0]),
    }


def fine_tuned() -> dict[str, Any]:
    """Checkpoints that know nothing of the task (encoders without a head, a GPT-2, a RoBERTa), fine-tuned to it."""
    import tokenizers
    import transformers

    from doubleloop.recipes.language import networks

    chance = random.Random(1)
    good, bad, others = "fine lovely great", "poor awful dull", "the film was really a bit and so one"

    def said(words: str) -> str:
        return " ".join([*chance.choices(others.split(), k=4), chance.choice(words.split()), "so"])

    rows = [{"text": said((good, bad)[n % 2]) + f" {n}", "label": ("up", "down")[n % 2]} for n in range(160)]
    names, verbs = ["Ada", "Bob", "Eve"], ["sees", "calls", "meets"]
    tags = []
    for n in range(120):
        one, two = chance.choices(names, k=2)
        tags.append(f"{one}{n} B-PER\n{chance.choice(verbs)} O\n{two}{n} B-PER\nat O\nnine O\n")
    (FOLDER / "people.conll").write_text("\n".join(tags))
    asked = []
    for n in range(120):
        name = chance.choice(names)
        asked.append({"question": "Who is it?", "context": f"it is {name} at {n}", "answer": name})
    texts = [each["text"] for each in rows] + [" ".join(tags)] + [each["context"] for each in asked]
    pieces = networks.pieces(texts, 150)
    sizes = {"vocab_size": len(pieces), "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
             "intermediate_size": 64, "pad_token_id": 0, "max_position_embeddings": 40}  # fmt: skip
    made_of = {
        "encoder": transformers.BertModel(transformers.BertConfig(**sizes)),
        "gpt": transformers.GPT2LMHeadModel(transformers.GPT2Config(
            vocab_size=len(pieces), n_embd=32, n_layer=1, n_head=2, n_positions=40, bos_token_id=1, eos_token_id=1)),
        "roberta": transformers.RobertaForMaskedLM(
            transformers.RobertaConfig(**{**sizes, "vocab_size": 350, "pad_token_id": 1})),
    }  # fmt: skip
    for name, model in made_of.items():
        model.save_pretrained(FOLDER / name)
        if name != "roberta":
            pieces.save_pretrained(FOLDER / name)
    of_bytes = tokenizers.ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    of_bytes.train_from_iterator(texts, vocab_size=350, special_tokens=special, show_progress=False)
    of_bytes.save_model(str(FOLDER / "roberta"))
    (FOLDER / "vision").mkdir()
    (FOLDER / "vision" / "config.json").write_text('{"model_type": "resnet"}')
    table("long.jsonl", [{**each, "text": each["text"] + " so" * 100} for each in rows])
    moods, people = table("reviews.jsonl", rows), FOLDER / "people.conll"
    told_of: dict[str, Any] = {}
    for name, words in {
        "mood": ["classifying", "--task", "sentiment", "--training-data", moods, "--checkpoint", FOLDER / "encoder"],
        "again": ["classifying", "--task", "sentiment", "--training-data", moods, "--epochs", 0],
        "gpt-mood": ["classifying", "--task", "sentiment", "--training-data", moods, "--checkpoint", FOLDER / "gpt"],
        "long": ["classifying", "--task", "sentiment", "--training-data", FOLDER / "long.jsonl", "--checkpoint",
                 FOLDER / "roberta", "--epochs", 1],
        "people": ["tagging", "--task", "named-entity-recognition", "--training-data", people, "--checkpoint",
                   FOLDER / "roberta"],
        "who": ["answering", "--task", "question-answering", "--training-data", table("who.jsonl", asked),
                "--checkpoint", FOLDER / "encoder"],
        "no-head": ["classifying", "--task", "sentiment", "--training-data", moods, "--checkpoint", FOLDER / "encoder",
                    "--epochs", 0],
        "vision": ["classifying", "--task", "sentiment", "--training-data", moods, "--checkpoint", FOLDER / "vision"],
    }.items():  # fmt: skip
        if name == "again":
            words += ["--checkpoint", FOLDER / "mood" / "data" / inner("mood") / "checkpoint"]
        size = ["--epochs", 5] * ("--epochs" not in words) + ["--learning-rate", 0.005]
        code, error = made(name, *words, *size)
        told_of[name] = {"code": code, "error": error, **({"told": told(name)} if not code else {})}
    ask = pandas.DataFrame({"question": ["Who is it?"], "context": ["it is Eve at 7"]})
    told_of["who"]["said"] = mlflow.pyfunc.load_model(str(FOLDER / "who")).predict(ask)["prediction"][0]
    return told_of


if __name__ == "__main__":
    print(
        json.dumps(
            {
                "translation": translation(),
                "generation": generation(),
                "checkpoints": small_checkpoints(),
                "fine_tuned": fine_tuned(),
            }
        )
    )
