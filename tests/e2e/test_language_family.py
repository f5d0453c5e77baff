"""Language components through the real server: trained in a pipeline, served online and in batch as they are."""

from __future__ import annotations

import json
import random
import urllib.request
from pathlib import Path

import pytest
from e2e_installation import Installation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PIPELINE = """
$schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json
type: pipeline
jobs:
  moods:
    type: command
    component: azureml://registries/doubleloop/components/sentiment_analysis/labels/latest
    inputs:
      training_data: {type: uri_file, path: moods.jsonl}
    outputs:
      model: {type: mlflow_model, name: moods}
  names:
    type: command
    component: azureml://registries/doubleloop/components/named_entity_recognition/labels/latest
    inputs:
      training_data: {type: uri_file, path: names.conll}
    outputs:
      model: {type: mlflow_model, name: names}
"""
ONLINE = "name: blue\nendpoint_name: names\nmodel: azureml:names@latest\ninstance_count: 1\n"
BATCH = (
    "type: model\nname: all\nendpoint_name: moods\nmodel: azureml:moods@latest\n"
    "settings: {output_file_name: moods.parquet}\n"
)


def write_data(folder: Path) -> None:
    chance = random.Random(0)
    rows = []
    for number in range(80):
        label = chance.choice(["pos", "neg"])
        word = chance.choice(("great", "lovely") if label == "pos" else ("awful", "poor"))
        rows.append({"text": f"The film {number} was {word}.", "label": label})
    (folder / "moods.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "names.conll").write_text(
        "".join(
            f"Ada{n % 7} B-PER\nsaw O\nNew B-LOC\nYork{n % 5} I-LOC\n. O\n\nNobody{n} O\nsaw O\n\n" for n in range(40)
        )
    )


def test_components_of_the_catalog_are_trained_and_served(installation: Installation, tmp_path: Path) -> None:
    write_data(tmp_path)
    (tmp_path / "train.yml").write_text(PIPELINE)
    (tmp_path / "online.yml").write_text(ONLINE)
    (tmp_path / "batch.yml").write_text(BATCH)
    made = installation
    made("workspace", "create", "-n", "dev")
    made("job", "create", "-f", tmp_path / "train.yml", "--stream", workspace="dev")

    made("online-endpoint", "create", "-n", "names", workspace="dev")
    made("online-deployment", "create", "-f", tmp_path / "online.yml", "--all-traffic", workspace="dev")
    found = made("online-endpoint", "show", "-n", "names", "-o", "json", workspace="dev").json
    keys = made("online-endpoint", "get-credentials", "-n", "names", "-o", "json", workspace="dev").json
    headers = {"authorization": f"Bearer {keys['primaryKey']}", "content-type": "application/json"}
    text = "Ada3 saw New York2. Nobody77 saw."
    for body in ([text, "x"], [{"text": text}, {"text": "x"}], {"columns": ["text"], "data": [[text], ["x"]]}):
        request = urllib.request.Request(found["scoring_uri"], json.dumps({"input_data": body}).encode(), headers)
        with urllib.request.urlopen(request) as answer:
            one, two = json.loads(answer.read())
        assert two == {"prediction": []}
        assert one["prediction"] == [
            {"start": 0, "end": 4, "label": "PER", "text": "Ada3"},
            {"start": 9, "end": 18, "label": "LOC", "text": "New York2"},
        ]

    made("batch-endpoint", "create", "-n", "moods", workspace="dev")
    made("batch-deployment", "create", "-f", tmp_path / "batch.yml", "--set-default", workspace="dev")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "texts.csv").write_text("text\nA lovely film\nA poor film\n")
    job = made(
        "batch-endpoint", "invoke", "-n", "moods", "--input", tmp_path / "in", "-o", "json", workspace="dev"
    ).json
    made("job", "stream", "-n", job["id"], workspace="dev")
    made("job", "download", "-n", job["id"], "--output-name", "score", "-p", tmp_path / "out", workspace="dev")
    import polars

    (file,) = (tmp_path / "out").rglob("moods.parquet")
    assert polars.read_parquet(file)["prediction"].to_list() == ["pos", "neg"]
