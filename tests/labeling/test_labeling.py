"""A labelling project: items handed out, labels that conflict, a second person's word, and the new data version."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

from doubleloop.base import errors
from doubleloop.catalog import queries as catalog
from doubleloop.data import commands as data
from doubleloop.db.context import Contexts
from doubleloop.events import queries as facts
from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities
from doubleloop.labeling import commands, model, queries, sources
from doubleloop.labeling.model import State, Status
from doubleloop.specs import documents
from doubleloop.storage import ports as storage

TEXTS = ["pay me now", "see you at nine", "cheap pills", "minutes of the meeting"]
PROJECT = """$schema: doubleloop/labeling
name: tickets
task: text_classification
labels: [spam, {name: ham, key: h, color: "#1f77b4"}]
guidelines: "Money asked for is **spam**."
data: azureml:mails:1
column: text
output: mails-labelled
"""


@pytest.fixture
def desk(house: Any) -> Iterator[Any]:
    """The house with data to label; ada and grace are of the group that labels."""
    rows = [{"text": text, "p": p} for text, p in zip(TEXTS, (0.9, 0.2, 0.55, 0.01), strict=True)]
    put(house, "mails", pl.DataFrame(rows))
    yield house


def put(house: Any, name: str, frame: pl.DataFrame) -> None:
    reference = data.store_bytes(house.contexts.port(storage.Blobs), f"{name}.csv", frame.write_csv().encode())
    with house.write("ada") as ctx:
        data.add_version(ctx, name, reference, "uri_file")


def create(house: Any, text: str = PROJECT, by: str = "ada") -> model.Project:
    document = documents.parse(text, "tickets.yml", "/")
    return commands.create(house.contexts, house.actor(by), "dev", document)


def next_for(house: Any, user: str, name: str = "tickets") -> model.Item | None:
    with house.write(user) as ctx:
        return commands.next_item(ctx, name)


def say(house: Any, user: str, number: int, value: Any, name: str = "tickets") -> model.Item:
    with house.write(user) as ctx:
        return commands.label(ctx, name, number, value)


def told(house: Any, *types: str) -> list[Any]:
    with house.read("service:setup", None) as ctx:
        return facts.facts(ctx, types=types)


def progress(house: Any, name: str = "tickets") -> model.Progress:
    with house.read("eve") as ctx:
        return queries.progress(ctx, name)


def status(house: Any, name: str = "tickets") -> Status:
    with house.read("eve") as ctx:
        return queries.get(ctx, name).status


def exported(house: Any, by: str = "ada", format_: str = "csv", **how: Any) -> pl.DataFrame:
    asset = commands.export(house.contexts, house.actor(by), "dev", "tickets", format_, **how)
    return sources.frame(house.contexts, asset.spec["reference"])


def test_what_is_labelled_becomes_a_version_that_names_its_source_and_project(desk: Any) -> None:
    assert create(desk).items == 4
    assert create(desk).created_at == create(desk).created_at  # the same file again is the same project
    for value in ("spam", "ham", "spam", "ham"):
        item = next_for(desk, "ada")
        assert item is not None
        say(desk, "ada", item.number, value)
    assert next_for(desk, "ada") is None and status(desk) is Status.REVIEWED
    assert exported(desk).rows() == [
        ("pay me now", 0.9, "spam"), ("see you at nine", 0.2, "ham"), ("cheap pills", 0.55, "spam"),
        ("minutes of the meeting", 0.01, "ham"),
    ]  # fmt: skip
    with desk.read("ada") as ctx:
        before = {edge.source for edge in catalog.upstream(ctx, "data:dev/mails-labelled:1")}
        assert before == {"data:dev/mails:1", "labeling:dev/tickets"}
        assert queries.get(ctx, "tickets").exported == "data:dev/mails-labelled:1"
    (fact,) = told(desk, "labeling.exported")
    assert (fact.data["labelled"], fact.data["left_out"], fact.data["tell"]) == (4, 0, ["data_scientist"])
    assert [each.type for each in told(desk, "labeling.created", "labeling.labelled", "labeling.reviewed")] == [
        "labeling.created", "labeling.reviewed",
    ]  # fmt: skip


def test_two_people_get_an_item_each_and_one_that_expires_goes_to_another(desk: Any) -> None:
    create(desk, PROJECT + "hold: 10m\n")
    first = next_for(desk, "ada")
    assert first is not None and first.number == 1 and next_for(desk, "ada") == first
    second = next_for(desk, "grace")
    assert second is not None and second.number == 2
    assert progress(desk).states == {State.QUEUED: 2, State.ASSIGNED: 2}
    with pytest.raises(errors.Conflict, match="others' now"):
        say(desk, "grace", 1, "spam")
    now = desk.contexts.now() + timedelta(minutes=11)
    desk = replace(desk, contexts=Contexts(desk.contexts.engine, desk.contexts.ports, lambda: now))
    assert next_for(desk, "grace").number == 1  # ada let it lie
    assert say(desk, "grace", 1, "spam").state is State.LABELLED


def test_two_labels_that_differ_conflict_until_a_third_person_decides(desk: Any) -> None:
    create(desk, PROJECT + "annotators: {per_item: 2}\n")
    with desk.write("service:setup", None) as ctx:
        identity.create_user(ctx, "mary")
        identity.put_group(ctx, identities.Group("leads", identities.Persona.PROJECT_LEAD, ("mary",), ()))
    for number, (mine, theirs) in enumerate([("spam", "spam"), ("ham", "spam"), ("spam", "spam"), ("ham", "ham")], 1):
        assert say(desk, "ada", number, mine).state is State.QUEUED
        say(desk, "grace", number, theirs)
    assert progress(desk).states == {State.LABELLED: 3, State.CONFLICTING: 1} and status(desk) is Status.LABELLED
    found = progress(desk).agreement
    # Three of four alike; by chance 0.5 * 0.75 + 0.5 * 0.25 = 0.5.
    assert found.kappa == {"ada, grace": {"value": 0.5, "items": 4}} and found.both == 4
    with pytest.raises(errors.Conflict, match="wait for a review"):
        exported(desk)
    assert exported(desk, partial=True).height == 3
    with desk.write("mary") as ctx:
        with pytest.raises(errors.InvalidInput, match="no label that all agree on"):
            commands.review(ctx, "tickets", 2)
        assert commands.review(ctx, "tickets", 2, "spam").state is State.REVIEWED
    assert status(desk) is Status.REVIEWED and exported(desk)["label"].to_list() == ["spam", "spam", "spam", "ham"]
    with desk.write("grace") as ctx, pytest.raises(errors.NotPermitted, match="labelled item 1 yourself"):
        commands.review(ctx, "tickets", 1, "ham")


def test_a_later_label_stands_over_an_earlier_one_and_both_are_kept(desk: Any) -> None:
    create(desk)
    say(desk, "ada", 1, "ham")
    say(desk, "ada", 1, "spam")
    with desk.write("ada") as ctx:
        commands.skip(ctx, "tickets", 2)
        assert commands.undo(ctx, "tickets").number == 2
        assert commands.next_item(ctx, "tickets").number == 2
        said = [(each.user, each.said, each.value) for each in queries.said(ctx, "tickets", 1)]
        assert queries.item(ctx, "tickets", 2).state is State.QUEUED
    assert said == [("ada", "label", "ham"), ("ada", "label", "spam")]
    assert progress(desk).labels == {"spam": 1} and progress(desk).people == {"ada": 1}
    with desk.write("ada") as ctx:
        assert commands.undo(ctx, "tickets").number == 1
        with pytest.raises(errors.Conflict, match="nothing of yours"):
            commands.undo(ctx, "tickets")


def test_gold_questions_are_asked_among_the_others_and_tell_how_well_people_label(desk: Any) -> None:
    put(desk, "known", pl.DataFrame({"text": ["win a prize", "lunch?"], "label": ["spam", "ham"]}))
    create(desk, PROJECT + "gold: {data: 'azureml:known:1', share: 0.5}\n")
    with desk.read("ada") as ctx:
        gold = [number not in {each.number for each in queries.items(ctx, "tickets").items} for number in range(1, 7)]
    assert sum(gold) == 2 and gold[-2:] != [True, True], "no number tells what is a gold question"
    asked = []
    while (item := next_for(desk, "ada")) is not None:
        asked.append(item.gold is not None)
        say(desk, "ada", item.number, "spam")
    assert asked == [False, True, False, True, False, False]
    assert progress(desk).agreement.gold == {"ada": {"right": 1, "asked": 2}}
    assert progress(desk).states == {State.LABELLED: 4} and exported(desk).height == 4


def test_only_the_groups_of_the_project_label_and_only_who_may_opens_one(desk: Any) -> None:
    create(desk, PROJECT + "annotators: {groups: [project_leads]}\n")
    assert next_for(desk, "grace") is not None
    with pytest.raises(errors.NotPermitted, match="labelled by project_leads"):
        next_for(desk, "ada")
    with pytest.raises(errors.NotPermitted):
        next_for(desk, "eve")
    with pytest.raises(errors.NotPermitted):
        create(desk, PROJECT.replace("name: tickets", "name: hers"), "eve")


def test_a_project_that_is_closed_takes_no_labels_and_one_that_is_deleted_leaves_its_versions(desk: Any) -> None:
    create(desk)
    say(desk, "ada", 1, "spam")
    exported(desk, partial=True)
    with desk.write("ada") as ctx:
        assert commands.close(ctx, "tickets").status is Status.CLOSED
    with pytest.raises(errors.Conflict, match="is closed"):
        say(desk, "ada", 2, "spam")
    with desk.write("ada") as ctx:
        commands.delete(ctx, "tickets")
        assert queries.projects(ctx) == []
        assert catalog.resolve(ctx, "data", "mails-labelled").version == "1"
    with desk.read("ada") as ctx, pytest.raises(errors.NotFound, match="No labelling project is named 'tickets'"):
        queries.get(ctx, "tickets")


@pytest.mark.parametrize(
    ("before", "after", "line", "says"),
    [
        ("column: text", "column: txt", 7, "Column 'txt' is not in the data"),
        ("data: azureml:mails:1", "data: azureml:mils:1", 6, "There is no data azureml:mils:1"),
        ("[spam, {", "[ham, {", 4, "two labels have the name 'ham'"),
        ("key: h", "key: s", 4, "taken"),
        ("task: text_classification", "task: image_classification", 7, "holds no image"),
        ("column: text\n", "", 0, "'column' is missing"),
        ("column: text\n", "column: text\nqueue: {by: uncertainty, columns: [text]}\n", 8, "holds no numbers"),
        ("column: text\n", "column: text\nqueue: drift\n", 8, "needs 'columns'"),
        ("column: text\n", "column: text\nannotators: {per_item: 3}\n", 8, "per_item"),
    ],
)
def test_a_file_that_cannot_be_is_refused_with_its_line_and_leaves_nothing(
    desk: Any, before: str, after: str, line: int, says: str
) -> None:
    with pytest.raises(errors.DoubleloopError) as refused:
        create(desk, PROJECT.replace(before, after))
    assert says in str(refused.value) and refused.value.where is not None
    assert not line or refused.value.where.line == line
    with desk.read("ada") as ctx:
        assert queries.projects(ctx) == []


def test_labels_that_cannot_be_are_refused(desk: Any) -> None:
    create(desk)
    with pytest.raises(errors.InvalidInput, match="'eggs' is no label") as refused:
        say(desk, "ada", 1, "eggs")
    assert "spam, ham" in refused.value.cure
    create(desk, PROJECT.replace("tickets", "spans").replace("text_classification", "entity_spans"))
    for value in ("spam", [{"start": 0, "end": 99, "label": "ham"}], [{"start": 0, "end": 2, "label": "x"}]):
        with pytest.raises(errors.InvalidInput):
            say(desk, "ada", 1, value, "spans")
    create(desk, PROJECT.replace("tickets", "order").replace("text_classification", "ranking"))
    with pytest.raises(errors.InvalidInput, match="names every label once"):
        say(desk, "ada", 1, ["spam"], "order")
    assert say(desk, "ada", 1, ["ham", "spam"], "order").state is State.LABELLED


def test_jsonl_holds_the_same_rows(desk: Any) -> None:
    create(desk)
    say(desk, "ada", 2, "ham")
    asset = commands.export(desk.contexts, desk.actor("ada"), "dev", "tickets", "jsonl", partial=True)
    blobs = desk.contexts.port(storage.Blobs)
    content = blobs.read(asset.digest)
    assert [json.loads(line) for line in content.splitlines()] == [
        {"text": "see you at nine", "p": 0.2, "label": "ham"}
    ]


def test_images_of_a_folder_and_of_a_column_are_the_same_images(desk: Any) -> None:
    blobs = desk.contexts.port(storage.Blobs)
    pictures = {f"set/{name}.png": png(color) for name, color in (("red", "red"), ("blue", "blue"))}
    entries = tuple(storage.Entry(path, blobs.put_bytes(each), len(each)) for path, each in sorted(pictures.items()))
    with desk.write("ada") as ctx:
        data.add_version(ctx, "photos", f"tree:sha256:{blobs.put_entries(entries).sha256}", "uri_folder")
    put(desk, "paths", pl.DataFrame({"image": list(pictures)}))
    put(desk, "inline", pl.DataFrame({"image": [base64.b64encode(each).decode() for each in pictures.values()]}))
    images = PROJECT.replace("text_classification", "image_classification")
    create(desk, images.replace("azureml:mails:1\ncolumn: text", "azureml:photos:1"))
    paths = images.replace("mails:1\ncolumn: text", "paths:1\ncolumn: image\nimages: azureml:photos:1")
    create(desk, paths.replace("tickets", "paths"))
    create(desk, images.replace("mails:1\ncolumn: text", "inline:1\ncolumn: image").replace("tickets", "inline"))
    found = {}
    for name in ("tickets", "paths", "inline"):
        with desk.read("ada") as ctx:
            found[name] = {queries.content(ctx, name, number)[0] for number in (1, 2)}
    assert found["tickets"] == found["paths"] == found["inline"] == set(pictures.values())
    for number in (1, 2):
        say(desk, "ada", number, "spam")
    assert exported(desk).rows() == [("set/blue.png", "spam"), ("set/red.png", "spam")]


def png(color: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), color).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_example_of_the_page_opens_a_project_in_its_order(desk: Any) -> None:
    page = (Path(__file__).parents[2] / "docs" / "labeling.md").read_text()
    example = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert example is not None
    put(desk, "known", pl.DataFrame({"text": ["win a prize", "lunch?"], "label": ["spam", "ham"]}))
    create(desk, example[1])
    with desk.read("ada") as ctx:
        order = [each.content for each in queries.items(ctx, "tickets").items]
    assert order[:4] == ["cheap pills", "see you at nine", "pay me now", "minutes of the meeting"]
