"""Texts made ready: sentences, tokens, normal forms and embeddings. Each is a component that turns a table into another
one, and a model of the same, so that requests are made ready in the same way as the training data was.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import pickle
import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Literal

import numpy
import pandas

from ..shared.problems import BadData
from . import options as choices
from . import reading, saving

TEXT = "text"
Form = Literal["NFC", "NFD", "NFKC", "NFKD"]
# Words that end with a period and seldom a sentence.
_SHORT = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "sr",
        "jr",
        "st",
        "vs",
        "etc",
        "e.g",
        "i.e",
        "cf",
        "no",
        "fig",
        "vol",
        "pp",
        "approx",
        "dept",
        "est",
        "inc",
        "ltd",
        "co",
        "corp",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
        "bzw",
        "ca",
        "z.b",
        "d.h",
        "usw",
        "nr",
        "abb",
        "bd",
        "m.e",
        "v.a",
        "p.ex",
        "env",
        "mme",
        "sig",
        "dott",
        "ecc",
        "art",
    ]
)
_END = re.compile(r"(?:[.!?…]+[\"'”’»)\]]*(?=\s)|[。！？]+[」』”]*|\n\s*\n)")
_URL = re.compile(r"https?://\S+|www\.\S+")
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")


def sentences(text: str) -> list[tuple[str, int, int]]:
    """Sentences with their places in characters. By rules: an end sign and white space, but for common abbreviations,
    initials, numbers, and where a small letter follows; signs of East Asian scripts; an empty line."""
    found, start = [], 0
    for end in _END.finditer(text):
        if not _ends(text, start, end):
            continue
        found.append((start, end.end()))
        start = end.end()
    found.append((start, len(text)))
    whole = [(text[one:two].strip(), one, two) for one, two in found]
    return [(said, one + text[one:two].index(said), one + text[one:two].index(said) + len(said))
            for said, one, two in whole if said]  # fmt: skip


def _ends(text: str, start: int, end: re.Match[str]) -> bool:
    sign = end[0]
    if sign.strip() == "" or sign[0] in "。！？":
        return True
    following = text[end.end() :].lstrip()[:1]
    if following.islower():
        return False
    if not sign.startswith(".") or sign.startswith(".."):
        return True
    word = (re.search(r"[\w.]*$", text[start : end.start()]) or [""])[0]
    return not (word.lower() in _SHORT or (len(word) == 1 and word.isupper() and bool(following)))


def normal(text: str, *, form: Form = "NFKC", lower: bool = False, mask: bool = False, marks: bool = True) -> str:
    """Unicode's ``form``, entities of HTML as their characters, no control characters, single spaces.

    ``lower``: small letters. ``mask``: addresses become <url> and <mail>. ``marks``: keep accents.
    """
    found = unicodedata.normalize(form, html.unescape(text))
    found = "".join(each for each in found if each in "\n\t" or unicodedata.category(each) not in ("Cc", "Cf"))
    if not marks:
        apart = unicodedata.normalize("NFD", found)
        found = unicodedata.normalize("NFC", "".join(each for each in apart if not unicodedata.combining(each)))
    if mask:
        found = _ADDRESS.sub("<mail>", _URL.sub("<url>", found))
    found = " ".join(found.split())
    return found.lower() if lower else found


class Preparation:
    """``settings``: the step and its parameters; ``fitted``: what embeddings were fitted to."""

    def __init__(self, settings: dict[str, Any], fitted: Any = None) -> None:
        self.settings, self._fitted = settings, fitted

    def apply(self, texts: Sequence[str]) -> list[Any]:
        step, set_ = self.settings["step"], self.settings
        if step == "sentence-splitting":
            return [[said for said, _, _ in sentences(text)] for text in texts]
        if step == "tokenization":
            return [self._tokens(text) for text in texts]
        if step == "text-normalization":
            return [
                normal(text, form=set_["form"], lower=set_["lower"], mask=set_["mask"], marks=set_["marks"])
                for text in texts
            ]
        found = self._fitted.transform(list(texts))
        return [row / max(float(numpy.linalg.norm(row)), 1e-12) for row in found]

    def _tokens(self, text: str) -> list[str]:
        found = [token for token, _, _ in reading.tokens(text)]
        return [token.lower() for token in found] if self.settings["lower"] else found

    def predict(self, frame: pandas.DataFrame, params: dict[str, Any] | None = None) -> pandas.DataFrame:
        return pandas.DataFrame({"prediction": self.apply(frame[TEXT].fillna("").astype(str).tolist())})


def load(folder: str) -> Preparation:
    with open(os.path.join(folder, "preparation.json"), encoding="utf-8") as file:
        settings = json.load(file)
    if settings["step"] != "text-embeddings":
        return Preparation(settings)
    if settings.get("checkpoint"):
        from . import checkpoints

        return Preparation(settings, checkpoints.Encoder(os.path.join(folder, "checkpoint")))
    with open(os.path.join(folder, "embeddings.pkl"), "rb") as file:
        return Preparation(settings, pickle.load(file))


def fit_embeddings(texts: Sequence[str], size: int, seed: int) -> Any:
    """Latent semantic analysis (Deerwester et al. 1990): TF-IDF, then the ``size`` largest singular vectors."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    terms = TfidfVectorizer(sublinear_tf=True, min_df=2 if len(texts) >= 50 else 1, max_features=50_000)
    try:
        wide = terms.fit_transform(texts).shape[1]
    except ValueError as error:
        raise BadData(f"the texts hold no words to fit embeddings to ({error})") from error
    if wide <= size:
        raise BadData(f"the texts hold {wide} different words, too few for embeddings of {size}; set a smaller size")
    return make_pipeline(terms, TruncatedSVD(size, random_state=seed)).fit(texts)


def options(parser: argparse.ArgumentParser) -> None:
    choices.common(parser, test=False)
    parser.add_argument("--output", required=True)
    parser.add_argument("--lower", type=choices.flag, default=False)
    parser.add_argument("--form", choices=["NFC", "NFD", "NFKC", "NFKD"], default="NFKC")
    parser.add_argument("--mask", type=choices.flag, default=False)
    parser.add_argument("--marks", type=choices.flag, default=True)
    parser.add_argument("--size", type=choices.positive, default=100)
    parser.add_argument("--checkpoint", default="")


def run(given: argparse.Namespace) -> None:
    """Write the table with the new column, and the step as a model. Raises BadData.

    Splitting sentences gives a row for each, with ``sentence`` (its number from 1, within the row's text); other steps
    give the rows as they are with a new column, or another text in its place.
    """
    step = given.task
    found = choices.texts(given.training_data, given)
    texts = [str(row.values[given.text]) for row in found]
    settings: dict[str, Any] = {"step": step, "lower": given.lower}
    fitted = None
    if step == "text-normalization":
        settings |= {"form": given.form, "mask": given.mask, "marks": given.marks}
    if step == "text-embeddings":
        settings["checkpoint"] = bool(given.checkpoint)
        fitted = _encoder(given) if given.checkpoint else fit_embeddings(texts, given.size, given.seed)
    made = Preparation(settings, fitted)
    table = pandas.DataFrame(_rows(found, given.text, step, made.apply(texts)))
    os.makedirs(given.output, exist_ok=True)
    table.to_parquet(os.path.join(given.output, "texts.parquet"), index=False)
    _told(given, step, len(found), len(table), made, texts)
    example = pandas.DataFrame({TEXT: [text[:300] for text in texts[:3]]})
    packages = ["scikit-learn", "scipy"] if fitted is not None and not given.checkpoint else []
    packages += ["torch", "transformers"] if given.checkpoint else []
    saving.model(
        given.model, "preparation", lambda folder: _write(settings, fitted, given, folder), example, task=step,
        packages=packages,
    )  # fmt: skip


def _told(given: argparse.Namespace, step: str, rows: int, out: int, made: Preparation, texts: Sequence[str]) -> None:
    """Nothing is true or false here; what came out is counted."""
    metrics: dict[str, float] = {"characters": float(numpy.mean([len(text) for text in texts]))}
    if step in ("sentence-splitting", "tokenization"):
        metrics["parts"] = float(numpy.mean([len(each) for each in made.apply(texts)]))
    saving.evaluation(
        given.evaluation, task=step, primary="", metrics=metrics, baseline="", baseline_metrics={},
        rows={"in": rows, "out": out},
    )  # fmt: skip


def _encoder(given: argparse.Namespace) -> Any:
    from . import checkpoints

    return checkpoints.Encoder(saving.checkpoint(given.checkpoint))


def _rows(found: Sequence[reading.Row], column: str, step: str, made: Sequence[Any]) -> list[dict[str, Any]]:
    if step == "sentence-splitting":
        return [
            {**row.values, column: said, "sentence": number}
            for row, each in zip(found, made, strict=True)
            for number, said in enumerate(each, 1)
        ]
    name = {"tokenization": "tokens", "text-embeddings": "embedding"}.get(step, column)
    return [{**row.values, name: each} for row, each in zip(found, made, strict=True)]


def _write(settings: dict[str, Any], fitted: Any, given: argparse.Namespace, folder: str) -> None:
    with open(os.path.join(folder, "preparation.json"), "w", encoding="utf-8") as file:
        json.dump(settings, file)
    if settings.get("checkpoint"):
        import shutil

        shutil.copytree(given.checkpoint, os.path.join(folder, "checkpoint"))
    elif fitted is not None:
        with open(os.path.join(folder, "embeddings.pkl"), "wb") as file:
            pickle.dump(fitted, file)
