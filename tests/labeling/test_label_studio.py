"""Label Studio as the tool: the same items there, the same labels here. Real server and stand-in are asked the same."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

import label_studio

from doubleloop.automation import loop
from doubleloop.base import errors
from doubleloop.data import commands as data
from doubleloop.durable.fake import EagerEngine
from doubleloop.events import queries as facts
from doubleloop.labeling import commands, labelstudio, model, queries, sources, syncing
from doubleloop.labeling.model import State
from doubleloop.secrets import ports as secrets
from doubleloop.secrets.local import FileKeys
from doubleloop.specs import documents
from doubleloop.storage import ports as storage
from doubleloop.vault import commands as vault
from doubleloop.vault import fernet
from doubleloop.vault import ports as vault_ports

ADA = "labelstudio-ada-at-example.com"
PROJECT = """$schema: doubleloop/labeling
name: {name}
task: {task}
labels: [PER, {{name: "A & B", color: "#1f77b4", key: b}}]
guidelines: Look twice.
data: azureml:{name}-data:1
{more}output: {name}-out
label_studio:
  url: {url}
  token: ${{{{secrets.LABEL_STUDIO}}}}
  every: 1h
"""
HOOK = """  webhook_url: {here}
  webhook_token: ${{{{secrets.LABEL_STUDIO}}}}
"""


@pytest.fixture(
    params=["stand-in", pytest.param("real", marks=[pytest.mark.slow, pytest.mark.timeout(900)])], scope="module"
)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Any]]:
    """(address, token, the stand-in or None)."""
    if request.param == "real":
        with label_studio.real(tmp_path_factory.mktemp("label-studio")) as (url, token):
            yield url, token, None
        return
    held = label_studio.StandIn()
    with label_studio.serving(held.answer) as url:
        yield url, held.token, held


class Tool:
    """A person at Label Studio, and this installation beside it."""

    def __init__(self, house: Any, url: str, token: str) -> None:
        self.house, self.url = house, url
        house.ports[secrets.Keys] = FileKeys(house.home / "secret.key")
        safe = fernet.SealedSafe(fernet.LocalKeys((), house.ports[secrets.Keys].derive))
        house.ports[vault_ports.Safe] = house.contexts.ports[vault_ports.Safe] = safe
        self.secret(token)
        self.server = labelstudio.Server(url, token, ["127.0.0.1"])
        self.calls: list[Any] = []

    def secret(self, value: str) -> None:
        vault.put(self.house.contexts, self.house.actor("ada"), "dev", "LABEL_STUDIO", value)

    def create(self, name: str, task: str, files: dict[str, bytes], more: str = "", tool: str = "") -> model.Project:
        blobs = self.house.contexts.port(storage.Blobs)
        entries = tuple(storage.Entry(path, blobs.put_bytes(each), len(each)) for path, each in files.items())
        tree = f"tree:sha256:{blobs.put_entries(entries).sha256}"
        single = f"/{next(iter(files))}" if len(files) == 1 else ""
        with self.house.write("ada") as ctx:
            data.add_version(ctx, f"{name}-data", tree + single, "uri_file" if single else "uri_folder")
        text = PROJECT.format(name=name, task=task, more=more, url=self.url) + tool
        document = documents.parse(text, "p.yml", "/")
        return commands.create(self.house.contexts, self.house.actor("ada"), "dev", document)

    def look(self, name: str, *, asked: bool = True) -> Any:
        """One look of the installation's own loop."""
        if asked:
            with self.house.write("ada") as ctx:
                syncing.ask(ctx, name)
        loop.Loop(self.house.contexts, 0.01)._fire()
        EagerEngine(self.house.contexts, syncing.WORKFLOWS).run()
        with self.house.read("ada") as ctx:
            return syncing.find(ctx, queries.get(ctx, name))

    def tasks(self, name: str) -> dict[int, dict[str, Any]]:
        with self.house.read("ada") as ctx:
            link = syncing.find(ctx, queries.get(ctx, name))
        assert link is not None
        found = self.server._call("GET", "tasks/", params={"project": link.remote, "fields": "all"})
        return {each["data"]["item"]: each for each in found["tasks"]}

    def annotate(self, name: str, item: int, *regions: dict[str, Any], skip: bool = False) -> int:
        task = self.tasks(name)[item]["id"]
        body = {"result": list(regions), "was_cancelled": skip}
        return int(self.server._call("POST", f"tasks/{task}/annotations/", json=body)["id"])

    def said(self, name: str) -> dict[int, list[tuple[str, str, Any]]]:
        with self.house.read("ada") as ctx:
            items = [each.number for each in queries.items(ctx, name).items]
            return {
                number: [(each.user, str(each.said), each.value) for each in queries.said(ctx, name, number)]
                for number in items
            }

    def facts(self, *types: str) -> list[Any]:
        with self.house.read("service:setup", None) as ctx:
            return facts.facts(ctx, types=types)


@pytest.fixture
def tool(house: Any, server: tuple[str, str, Any]) -> Tool:
    return Tool(house, *server[:2])


def span(start: int, end: int, text: str, label: str) -> dict[str, Any]:
    value = {"start": start, "end": end, "text": text, "labels": [label]}
    return {"from_name": "label", "to_name": "text", "type": "labels", "value": value}


def test_spans_go_there_once_and_what_is_said_of_them_comes_back_as_the_same_labels(tool: Tool) -> None:
    guess = '"[{""start"": 2, ""end"": 5, ""label"": ""PER""}]"'
    text = f"t,guess\n😀 Ada met Babbage,{guess}\nnothing,[]\nmore,[]\n".encode()
    calls: list[str] = []

    def called(method: str, path: str, _query: Any, _body: Any) -> tuple[int, Any]:
        calls.append(f"{method} {path}")
        return 200, {}

    with label_studio.serving(called) as here:
        hook = HOOK.format(here=here)
        tool.create("spans", "entity_spans", {"t.csv": text}, "column: t\nprelabels: guess\n", hook)
        link = tool.look("spans", asked=False)
        assert (link.problem, link.refused) == ("", []) and link.remote
        there = tool.tasks("spans")
        assert [each["data"]["text"] for _, each in sorted(there.items())] == ["😀 Ada met Babbage", "nothing", "more"]
        assert there[1]["predictions"][0]["result"][0]["value"]["text"] == "Ada"
        ada, skipped = span(2, 5, "Ada", "PER"), tool.annotate("spans", 3, skip=True)
        first = tool.annotate("spans", 1, span(10, 17, "Babbage", "A & B"), ada)
        tool.annotate("spans", 2)
        assert tool.look("spans").refused == []
    assert set(calls) <= {"POST /api/v1/workspaces/dev/labeling-projects/spans/sync"} and calls, "it called, each time"
    both = [{"start": 2, "end": 5, "label": "PER"}, {"start": 10, "end": 17, "label": "A & B"}]
    said = tool.said("spans")
    assert sorted(said[1][0][2], key=lambda each: each["start"]) == both
    assert {number: [(user, what) for user, what, _ in each] for number, each in said.items()} == {
        1: [(ADA, "label")], 2: [(ADA, "label")], 3: [(ADA, "skip")],
    }  # fmt: skip
    tool.look("spans")
    assert tool.said("spans") == said and len(tool.tasks("spans")) == 3, "another look changes nothing"
    with tool.house.read("ada") as ctx:
        assert queries.progress(ctx, "spans").states == {State.LABELLED: 2, State.SKIPPED: 1}

    # Somebody thinks again, another takes it back, a third says what cannot be: it is told, and the rest comes.
    tool.server._call("PATCH", f"annotations/{first}/", json={"result": [ada]})
    tool.server._call("DELETE", f"annotations/{skipped}/")
    tool.annotate("spans", 3, span(0, 4, "more", "PER"), span(2, 4, "re", "PER"))
    (refused,) = tool.look("spans").refused
    assert refused.startswith(f"{ADA}: Label Studio (task ") and "Two spans overlap: 0 to 4 (PER)" in refused
    said = tool.said("spans")
    assert [each[1:] for each in said[1][1:]] == [("label", both[:1])]
    assert [each[1] for each in said[3]] == ["skip", "undo"]
    assert [each.data["labels"] for each in tool.facts("labeling.synced")] == [3, 2]


def test_shapes_come_back_in_pixels_and_end_as_the_same_data_version(tool: Tool) -> None:
    buffer = io.BytesIO()
    Image.new("L", (200, 100)).save(buffer, "PNG")
    tool.create("shapes", "image_segmentation", {"a.png": buffer.getvalue(), "b.txt": b"no image"})
    assert tool.look("shapes", asked=False).problem == ""
    sized = {"original_width": 200, "original_height": 100, "to_name": "image"}
    box = {"x": 10, "y": 20, "width": 25, "height": 50, "rotation": 0, "rectanglelabels": ["PER"]}
    outline = {"points": [[0, 0], [50, 0], [0, 33]], "polygonlabels": ["A & B"]}
    tool.annotate(
        "shapes", 1, {**sized, "from_name": "label", "type": "rectanglelabels", "value": box},
        {**sized, "from_name": "outline", "type": "polygonlabels", "value": outline},
    )  # fmt: skip
    tool.look("shapes")
    asset = commands.export(tool.house.contexts, tool.house.actor("ada"), "dev", "shapes", "jsonl")
    (row,) = sources.frame(tool.house.contexts, asset.spec["reference"]).rows(named=True)
    boxes = [{key: each for key, each in shape.items() if each is not None} for shape in row["label"]]
    assert (row["path"], sorted(boxes, key=str)) == ("a.png", [
        {"box": [20.0, 20.0, 50.0, 50.0], "label": "PER"},
        {"label": "A & B", "polygon": [[0.0, 0.0], [100.0, 0.0], [0.0, 33.0]]},
    ])  # fmt: skip


def test_rankings_are_asked_for_as_lists_to_sort_and_come_back_as_orders(tool: Tool) -> None:
    guess = b't,guess\nWhich?,"[""A & B"", ""PER""]"\nAnd here?,\nThis?,\n'
    tool.create("orders", "ranking", {"t.csv": guess}, "column: t\nprelabels: guess\n")
    assert tool.look("orders", asked=False).problem == ""
    there = tool.tasks("orders")
    assert there[1]["data"]["options"] == [{"id": "PER", "title": "PER"}, {"id": "A & B", "title": "A & B"}]
    (proposed,) = there[1]["predictions"][0]["result"]
    assert proposed["value"] == {"ranker": {"label": ["A & B", "PER"]}}
    ranked = {"from_name": "label", "to_name": "options", "type": "ranker"}
    tool.annotate("orders", 1, {**ranked, "value": {"ranker": {"label": ["PER", "A & B"]}}})
    tool.annotate("orders", 2, {**ranked, "value": {"ranker": {"label": ["PER"]}}})
    tool.annotate("orders", 3)
    refused = tool.look("orders").refused
    assert tool.said("orders") == {1: [(ADA, "label", ["PER", "A & B"])], 2: [], 3: []}
    assert len(refused) == 2 and "names every label once" in refused[0] and "one ranking is needed" in refused[1]


def test_a_server_that_refuses_or_is_away_is_told_once_and_tried_again(tool: Tool, server: Any) -> None:
    held = server[2]
    if held is None:
        pytest.skip("troubles are made with the stand-in")
    tool.create("classes", "text_classification", {"t.csv": b"t\nAda\n"}, "column: t\n")
    tool.secret("a.wrong.token")
    problem = tool.look("classes", asked=False).problem
    assert "refuses the token" in problem and "wrong" not in problem
    tool.look("classes")
    assert len(tool.facts("labeling.not_synced")) == 1, "said when it begins, not each time"
    tool.secret(server[1])
    held.trouble += [503, 429]
    assert tool.look("classes").problem == "", "tried again within one look"
    choice = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": ["PER"]}}
    tool.annotate("classes", 1, choice)
    tool.look("classes")
    assert tool.said("classes") == {1: [(ADA, "label", "PER")]}
    with tool.house.write("ada") as ctx:
        commands.close(ctx, "classes")
        with pytest.raises(errors.Conflict, match="is closed"):
            syncing.ask(ctx, "classes")
    assert tool.facts("secret.given")[-1].data["to"] == "labeling:dev/classes"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("${{secrets.LABEL_STUDIO}}", "abc123"), "put it into a secret"),
        (("${{secrets.LABEL_STUDIO}}", "${{secrets.NOBODYS}}"), "NOBODYS"),
        (("http://127.0.0.1:1", "ftp://x"), "not an http or https address"),
        (("  every: 1h\n", "  every: 1h\n  webhook_url: http://x\n"), "needs both"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_tool_is_refused_before_anything_is_made(
    house: Any, change: tuple[str, str], says: str
) -> None:
    tool = Tool(house, "http://127.0.0.1:1", "x")
    text = PROJECT.format(name="p", task="entity_spans", more="column: t\n", url="http://127.0.0.1:1").replace(*change)
    with pytest.raises(errors.DoubleloopError, match=says):
        commands.create(tool.house.contexts, house.actor("ada"), "dev", documents.parse(text, "p.yml", "/"))


def test_an_address_inside_that_nobody_allowed_is_not_asked(house: Any) -> None:
    guarded = labelstudio.Server("http://127.0.0.1:1", "x", [])
    with pytest.raises(errors.NotPermitted, match=r"127\.0\.0\.1"):
        guarded.items(1)
