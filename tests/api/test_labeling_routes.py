"""A labelling project over HTTP: from the file to the new data version, with what is refused on the way."""

from __future__ import annotations

from typing import Any

import pytest
from api_server import Prepared, Served


def test_a_project_is_labelled_reviewed_exported_and_closed(served: Served, prepared: Prepared) -> None:
    ada, grace = served.as_("ada"), served.as_("grace")
    base = "/api/v1/workspaces/dev/labeling-projects"

    def post(who: Any, path: str, **body: Any) -> Any:
        answer = who.post(f"{base}/thing{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    item = post(ada, "/next")["item"]
    assert (item["number"], item["content"], item["state"]) == (1, "1", "queued")
    assert grace.post(f"{base}/thing/items/1/label", json={"value": "one"}).status_code == 409, "it is ada's now"
    wrong = ada.post(f"{base}/thing/items/1/label", json={"value": "three"})
    assert (wrong.status_code, wrong.json()["error"]["cure"]) == (400, "One of one, two.")
    assert post(ada, "/items/1/label", value="one")["state"] == "labelled"
    assert post(ada, "/undo")["state"] == "queued" and post(ada, "/items/1/skip")["state"] == "skipped"
    assert post(ada, "/items/1/label", value="two")["state"] == "labelled"
    assert [each["said"] for each in ada.get(f"{base}/thing/items/1").json()["said"]] == [
        "label", "undo", "skip", "label",
    ]  # fmt: skip
    assert ada.post(f"{base}/thing/items/1/review", json={}).status_code == 403, "nobody reviews what they labelled"
    assert post(grace, "/items/1/review", value="one")["state"] == "reviewed"
    version = post(ada, "/export", format="jsonl")
    data = f"azureml:{version['name']}:{version['version']}"
    refused = ada.post(f"{base}/thing/import", json={"data": data})
    assert refused.status_code == 409, "it is reviewed"
    assert refused.json()["error"]["where"] == {"file": "labels.jsonl", "line": 1, "path": ""}
    assert post(ada, "/import", data=data, proposals=True) == {"labels": 1, "unchanged": 0, "left": 0}
    assert grace.post(f"{base}/thing/import", json={"data": "azureml:nobodys:1"}).status_code == 404
    assert (version["name"], version["version"]) == ("thing-labelled", "1")
    found = ada.get(f"{base}/thing").json()
    assert (found["status"], found["states"], found["labels"]) == ("exported", {"reviewed": 1}, {"one": 1})
    assert post(ada, "/close")["status"] == "closed"
    assert ada.post(f"{base}/thing/next").status_code == 409
    assert ada.get(f"{base}/thing/items?state=reviewed").json()["items"][0]["number"] == 1
    assert ada.get(f"{base}/thing/items/1/content").text == "1"


@pytest.mark.parametrize("number", ["0", "-1", "x", "99999999999999999999", "2"])
def test_an_item_that_is_not_there_is_not_found(served: Served, prepared: Prepared, number: str) -> None:
    path = f"/api/v1/workspaces/dev/labeling-projects/thing/items/{number}"
    assert served.as_("ada").get(path).status_code == 404
