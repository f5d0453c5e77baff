"""What each check measures, for real: tables read, models scored, tests run, load sent, files scanned."""

from __future__ import annotations

import io
from typing import Any

import polars as pl

from doubleloop.base import actors, clock, errors
from doubleloop.db.context import Contexts
from doubleloop.frames import contracts
from doubleloop.gates.checks import counterfactual, model_quality, responsible_ai
from doubleloop.models import model as models_model
from doubleloop.models import queries as models
from doubleloop.releases import grouping, images, loading, model, ports, rules, scanning, scoring, tables, testing
from doubleloop.statistics import corruptions
from doubleloop.storage import ports as storage

ACTOR = actors.service("releases")


class RealMeasuring:
    """Fills ``ports.Measuring``."""

    def measure(self, contexts: Contexts, question: model.Question) -> model.Measured:
        return _MEASURES[question.check["type"]](contexts, question)

    def infer_signature(
        self, contexts: Contexts, workspace: str, data: str, target: str, features: list[str] | None
    ) -> dict[str, Any]:
        rows = tables.read(contexts, workspace, data).rows
        columns = [(name, str(kind.base_type()), bool(rows[name].null_count())) for name, kind in rows.schema.items()]
        return rules.infer_signature(columns, target, features)


def chosen(contexts: Contexts) -> ports.Measuring:
    plugged: ports.Measuring | None = contexts.ports.get(ports.Measuring)
    return plugged or RealMeasuring()


def _data_quality(contexts: Contexts, question: model.Question) -> model.Measured:
    contract = contracts.parse(question.check["contract"])
    table = tables.read(contexts, question.workspace, question.check["data"], contract.texts)
    found = contracts.measure(contract, table.rows, clock.parse(question.asked_at))
    return model.Measured({**found, "data": table.named, "data_ids": _ids(table)})


def _ids(table: tables.Table) -> list[str]:
    return [table.id] if table.id.startswith("data:") else []


def _version(
    contexts: Contexts, question: model.Question, named: tuple[str, str]
) -> tuple[models_model.ModelVersion, Any]:
    with contexts.read(ACTOR, question.workspace) as ctx:
        version = models.get(ctx, *named)
        return version, tables.training_data(ctx, version)


def _features(table: tables.Table, question: model.Question, target: str) -> pl.DataFrame:
    """The columns that a model may see: never the true values."""
    wanted = question.check.get("features")
    if target in (wanted or ()):
        raise errors.InvalidInput(f"the features name the target '{target}', which would give the answers away")
    for name in wanted or ():
        tables.column(table, name)
    return table.rows.select(wanted) if wanted else table.rows.drop(target)


def _model_quality(contexts: Contexts, question: model.Question) -> model.Measured:
    check = question.check
    table = tables.read(contexts, question.workspace, check["data"])
    truth = tables.column(table, check["target"])
    if table.rows.is_empty():
        raise errors.InvalidInput(f"the hold-out {table.id} has no rows")
    rows = _features(table, question, check["target"])
    scored = {"candidate": _scored(contexts, question, question.candidate, rows, truth)}
    if check.get("champion") is not None and question.champion is not None:
        scored["champion"] = _scored(contexts, question, question.champion, rows, truth)
    kept = {"truth": truth.to_list(), **{who: each.pop("predictions") for who, each in scored.items()}}
    body = {"metric": check["metric"], "holdout": table.named, "data_ids": _ids(table), "champion": None, **scored}
    return model.Measured(body, {"predictions": _keep(contexts, kept)})


def _scored(
    contexts: Contexts, question: model.Question, named: tuple[str, str], rows: pl.DataFrame, truth: pl.Series
) -> dict[str, Any]:
    """What the check is told of one model. That a model fails to answer is told too, not raised."""
    version, data = _version(contexts, question, named)
    answer: dict[str, Any] = {
        "model": f"{version.name}:{version.version}", "digest": version.digest, "training_data": data, "value": None,
        "predictions": [None] * rows.height,
    }  # fmt: skip
    try:
        signature = question.signature if named == question.candidate else None
        found = scoring.predict(contexts, question.workspace, version, rows, signature)
        answer |= {"predictions": found.values, "environment_lock": found.environment_lock, "mlflow": found.mlflow}
        answer["plan"] = found.plan
        answer["value"] = model_quality.score(question.check["metric"], truth, found.values)
    except errors.Unavailable:
        raise
    except errors.DoubleloopError as error:
        answer["error"] = str(error)[:2000]
    return answer


def _keep(contexts: Contexts, columns: dict[str, Any]) -> str:
    """Rows of truth and predictions, so that anybody may compute every number again."""
    buffer = io.BytesIO()
    pl.DataFrame({name: pl.Series(name, values, strict=False) for name, values in columns.items()}).write_parquet(
        buffer
    )
    return f"blob:sha256:{contexts.port(storage.Blobs).put_bytes(buffer.getvalue())}"


def _responsible_ai(contexts: Contexts, question: model.Question) -> model.Measured:
    check = question.check
    if question.target is None:
        raise errors.InvalidInput("the check names no target", cure="Add `target: COLUMN`.")
    table = tables.read(contexts, question.workspace, check["data"])
    truth = tables.column(table, question.target)
    sensitive, asked = grouping.groups(contexts, question, table)
    version, _ = _version(contexts, question, question.candidate)
    rows = _features(table, question, question.target)
    found = scoring.predict(contexts, question.workspace, version, rows, question.signature)
    measured = responsible_ai.measure(
        check["metric"], truth, found.values, sensitive, check.get("min_group_size") or responsible_ai.MIN_GROUP
    )
    kept = {"truth": truth.to_list(), "candidate": found.values, **{n: s.to_list() for n, s in sensitive.items()}}
    body = {**measured, "holdout": table.named, "data_ids": _ids(table), "environment_lock": found.environment_lock}
    body |= {"asked": asked} if asked else {}
    return model.Measured(body, {"predictions": _keep(contexts, kept)})


def _counterfactual(contexts: Contexts, question: model.Question) -> model.Measured:
    """Texts with a term, asked as they are and with the term's counterpart."""
    check = {"column": "text", **question.check}
    table = tables.read(contexts, question.workspace, check["data"])
    texts = tables.column(table, check["column"]).cast(pl.String).fill_null("").to_list()
    changed = [counterfactual.swapped(text, check["swap"]) for text in texts]
    numbers = [row for row, (one, two) in enumerate(zip(texts, changed, strict=True)) if one != two]
    ids = {"holdout": table.named, "data_ids": _ids(table)}
    if not numbers:
        return model.Measured({"rows": 0, "changed": 0, "examples": [], **ids})
    version, _ = _version(contexts, question, question.candidate)
    before, after = [texts[row] for row in numbers], [changed[row] for row in numbers]
    rows = table.rows.select(check["features"]) if check.get("features") else table.rows
    rows = rows[numbers]
    both = pl.concat([rows.with_columns(pl.Series(check["column"], each)) for each in (before, after)])
    found = scoring.predict(contexts, question.workspace, version, both, question.signature)
    measured = counterfactual.measure(before, after, found.values[: len(numbers)], found.values[len(numbers) :])
    kept = {"text": before, "changed": after, "before": found.values[: len(numbers)],
            "after": found.values[len(numbers) :]}  # fmt: skip
    body = {**measured, **ids, "environment_lock": found.environment_lock}
    return model.Measured(body, {"predictions": _keep(contexts, kept)})


# What a file may leave out.
ROBUSTNESS: dict[str, Any] = {"column": "image", "corruptions": corruptions.KINDS, "severities": (3,)}


def _robustness(contexts: Contexts, question: model.Question) -> model.Measured:
    """The hold-out's images as they are and made worse, asked in one go; the metric of each slice."""
    check = {**ROBUSTNESS, **question.check}
    table = tables.read(contexts, question.workspace, check["data"])
    truth = tables.column(table, check["target"])
    column = tables.column(table, check["column"])
    if not len(column):
        raise errors.InvalidInput(f"the hold-out {table.id} has no rows")
    made = images.asked(column, check["corruptions"], check["severities"])
    version, _ = _version(contexts, question, question.candidate)
    rows = pl.DataFrame({check["column"]: made.images})
    body: dict[str, Any] = {"metric": check["metric"], "holdout": table.named, "data_ids": _ids(table), "slices": []}
    try:
        found = scoring.predict(contexts, question.workspace, version, rows, question.signature)
        for each in made.slices:
            if each.rows:
                said = [found.values[each.start + row] for row in each.rows]
                value = model_quality.score(check["metric"], truth[list(each.rows)], said)
                body["slices"].append({"slice": each.name, "rows": len(each.rows), "value": value})
        body["environment_lock"] = found.environment_lock
    except errors.Unavailable:
        raise
    except errors.DoubleloopError as error:
        return model.Measured({**body, "error": str(error)[:2000]}, {})
    return model.Measured(body, {"predictions": _keep(contexts, {"candidate": found.values})})


_MEASURES = {
    "counterfactual": _counterfactual,
    "data_quality": _data_quality,
    "unit_tests": testing.measure,
    "model_quality": _model_quality,
    "responsible_ai": _responsible_ai,
    "robustness": _robustness,
    "endpoint_performance": loading.measure,
    "scan": scanning.measure,
}
