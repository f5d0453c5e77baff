"""Names, versions that never change, labels that move, and what came from what."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from doubleloop.base import errors
from doubleloop.catalog import commands, queries, rules
from doubleloop.catalog.model import Asset, Edge
from doubleloop.db.context import Ctx
from doubleloop.events import queries as events

A, B, C = "a" * 64, "b" * 64, "c" * 64


def add(ctx: Ctx, name: str = "bikes", version: str | None = None, digest: str = A, kind: str = "data") -> Asset:
    return commands.add(ctx, kind, name, version, digest, {"type": "uri_file", "reference": f"tree:sha256:{digest}"})


def test_versions_are_numbered_and_the_newest_content_again_is_no_new_one(house: Any) -> None:
    with house.write() as ctx:
        assert [add(ctx, digest=digest).version for digest in (A, B, B, A, A)] == ["1", "2", "2", "3", "3"]
        assert [each.version for each in queries.versions(ctx, "data", "bikes")] == ["3", "2", "1"]
    with house.read() as ctx:
        assert len(events.facts(ctx, types=["data.created"])) == 3


def test_a_version_never_changes(house: Any) -> None:
    with house.write() as ctx:
        first = add(ctx, version="1.0")
        assert add(ctx, version="1.0") == first
        with pytest.raises(errors.Conflict, match=r"data bikes:1\.0 exists with other content") as caught:
            add(ctx, version="1.0", digest=B)
        assert "or use 1" in caught.value.cure
        assert queries.resolve(ctx, "data", "bikes:1.0").digest == A


def test_numbers_go_on_from_the_largest_whatever_else_there_is(house: Any) -> None:
    with house.write() as ctx:
        for version, digest in (("7", A), ("beta", B), ("1.9", C)):
            add(ctx, version=version, digest=digest)
        assert add(ctx, digest="d" * 64).version == "8"
    assert rules.next_version(["9", "10", "x", "2.5", "-3"]) == "11"
    assert rules.next_version([]) == "1"


@pytest.mark.parametrize("name", ["", " ", "a b", "a/b", "a:b", "a@b", "../a", "-a", ".a", "a\n", "é", "a" * 256])
def test_a_name_that_could_not_be_referred_to_is_refused(house: Any, name: str) -> None:
    with house.write() as ctx, pytest.raises(errors.InvalidInput, match="cannot be the name"):
        add(ctx, name)


@pytest.mark.parametrize("version", ["", " ", "a b", "a/b", "a:b", "a@b", "../a", "1\n", "é", "v" * 256])
def test_a_version_that_could_not_be_referred_to_is_refused(house: Any, version: str) -> None:
    with house.write() as ctx, pytest.raises(errors.InvalidInput, match="cannot be"):
        add(ctx, version=version)


@pytest.mark.parametrize(
    ("reference", "wanted"),
    [
        ("bikes:2", ("bikes", "2", None, None)),
        ("azureml:bikes:2", ("bikes", "2", None, None)),
        ("azureml:bikes@production", ("bikes", None, "production", None)),
        ("bikes", ("bikes", None, None, None)),
        ("azureml://registries/shared/data/bikes/versions/2", ("bikes", "2", None, "shared")),
        ("azureml://registries/shared/data/bikes/labels/latest", ("bikes", None, "latest", "shared")),
        (
            "azureml:/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w/models/bikes"
            "/versions/2",
            ("bikes", "2", None, None),
        ),
        ("azureml://locations/north/workspaces/w/models/bikes/labels/latest", ("bikes", None, "latest", None)),
        ("models:/bikes/2", ("bikes", "2", None, None)),
        ("models:/bikes@champion", ("bikes", None, "champion", None)),
    ],
)
def test_references_are_read(reference: str, wanted: tuple[Any, ...]) -> None:
    found = rules.parse(reference)
    assert (found.name, found.version, found.label, found.registry) == wanted


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "a:b:c",
        "a@b@c",
        "a:1@b",
        "a b",
        "azureml://bikes",
        "azureml:",
        "azureml://datastores/x/paths/y",
        "a:",
        "models:/bikes",
        "models:/m-1/2/3",
        "azureml://subscriptions/s/workspaces/w/datastores/x/paths/y",
    ],
)
def test_what_is_no_reference_says_how_one_is_written(reference: str) -> None:
    with pytest.raises(errors.InvalidInput, match="is not a reference") as caught:
        rules.parse(reference)
    assert "azureml:NAME:VERSION" in caught.value.cure


def test_labels_move_and_say_so(house: Any) -> None:
    with house.write() as ctx:
        one, two = add(ctx, digest=A), add(ctx, digest=B)
        commands.label(ctx, one, "production")
        assert queries.resolve(ctx, "data", "bikes@production").labels == ("production",)
        commands.label(ctx, two, "production")
        commands.label(ctx, two, "production")
        commands.label(ctx, two, "best")
        assert queries.resolve(ctx, "data", "azureml:bikes@production").version == "2"
        assert [each.labels for each in queries.versions(ctx, "data", "bikes")] == [("best", "production"), ()]
        moved = events.facts(ctx, types=["data.labelled"])
    assert [(each.data["label"], each.data["before"]) for each in moved] == [
        ("production", None), ("production", "1"), ("best", None),
    ]  # fmt: skip


def test_latest_is_computed_and_cannot_be_moved(house: Any) -> None:
    with house.write() as ctx:
        one, _ = add(ctx, digest=A), add(ctx, digest=B)
        assert queries.resolve(ctx, "data", "bikes@latest").version == "2"
        with pytest.raises(errors.InvalidInput, match="latest"):
            commands.label(ctx, one, "latest")
        with pytest.raises(errors.InvalidInput, match="label"):
            commands.label(ctx, one, "a b")


def test_an_archived_version_is_not_the_newest_but_still_there(house: Any) -> None:
    with house.write() as ctx:
        _, two = add(ctx, digest=A), add(ctx, digest=B)
        commands.archive(ctx, two)
        assert queries.resolve(ctx, "data", "bikes").version == "1"
        assert queries.resolve(ctx, "data", "bikes@latest").version == "1"
        assert queries.resolve(ctx, "data", "bikes:2").archived
        assert [each.version for each in queries.names(ctx, "data")] == ["1"]
        assert add(ctx, digest=C).version == "3"
        commands.archive(ctx, two, False)
        assert not queries.resolve(ctx, "data", "bikes:2").archived


def test_a_name_is_looked_up_here_and_then_in_the_registries(house: Any) -> None:
    with house.write("ada", "registry") as ctx:
        add(ctx, digest=A)
        add(ctx, "shared", digest=A)
    with house.write("ada", "dev") as ctx:
        add(ctx, digest=B)
        assert queries.resolve(ctx, "data", "bikes").workspace == "dev"
        assert queries.resolve(ctx, "data", "shared").id == "data:registry/shared:1"
        asked = "azureml://registries/registry/data/bikes/versions/1"
        assert queries.resolve(ctx, "data", asked).workspace == "registry"
        assert {each.id for each in queries.names(ctx, "data")} == {
            "data:dev/bikes:1", "data:registry/bikes:1", "data:registry/shared:1",
        }  # fmt: skip
    with house.read("ada", "staging") as ctx:
        assert queries.resolve(ctx, "data", "bikes").workspace == "registry"


def test_another_workspaces_assets_are_not_seen(house: Any) -> None:
    with house.write("ada", "dev") as ctx:
        add(ctx)
    with house.read("ada", "staging") as ctx:
        assert queries.names(ctx, "data") == []
        with pytest.raises(errors.NotFound, match="no data bikes in staging or registry"):
            queries.resolve(ctx, "data", "bikes")


def test_a_registry_that_is_not_there_is_said_to_be_missing(house: Any) -> None:
    with house.write("ada", "dev") as ctx:
        add(ctx)
        with pytest.raises(errors.NotFound):
            queries.resolve(ctx, "data", "azureml://registries/elsewhere/data/bikes/versions/1")


def test_what_is_missing_is_told_with_what_is_near(house: Any) -> None:
    with house.write() as ctx:
        one = add(ctx)
        add(ctx, digest=B)
        commands.label(ctx, one, "production")
        for reference, cure in [
            ("bike", "Did you mean bikes?"),
            ("taxi", "Known: bikes."),
            ("bikes:3", "bikes has: 1, 2, @production."),
            ("bikes@staging", "bikes has: 1, 2, @production."),
        ]:
            with pytest.raises(errors.NotFound) as caught:
                queries.resolve(ctx, "data", reference)
            assert caught.value.cure == cure
        with pytest.raises(errors.NotFound) as caught:
            queries.resolve(ctx, "model", "bikes")
        assert caught.value.cure == "Known: none yet."


def test_kinds_have_names_of_their_own(house: Any) -> None:
    with house.write() as ctx:
        for kind in ("data", "model", "environment", "component"):
            assert add(ctx, kind=kind).id == f"{kind}:dev/bikes:1"


def test_two_at_once_get_two_numbers(house: Any) -> None:
    failures: list[BaseException] = []

    def work(digest: str) -> None:
        try:
            with house.write() as ctx:
                add(ctx, digest=digest)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(f"{number:064d}",)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    with house.read() as ctx:
        found = queries.versions(ctx, "data", "bikes")
    assert (failures, sorted(int(each.version) for each in found)) == ([], list(range(1, 9)))


def test_lineage_is_drawn_once_and_walked_both_ways(house: Any) -> None:
    edges = [("data:1", "input", "step:a"), ("step:a", "output", "data:2"), ("data:2", "input", "step:b"),
             ("code:x", "code", "step:b"), ("step:b", "registered", "model:1")]  # fmt: skip
    with house.write() as ctx:
        for edge in edges * 2:
            commands.link(ctx, *edge)
        assert queries.upstream(ctx, "step:b") == [Edge("code:x", "code", "step:b"), Edge("data:2", "input", "step:b")]
        assert queries.downstream(ctx, "data:2") == [Edge("data:2", "input", "step:b")]
        assert [each.source for each in queries.ancestry(ctx, "model:1")] == [
            "step:b", "code:x", "data:2", "step:a", "data:1",
        ]  # fmt: skip


def test_lineage_that_goes_round_is_walked_to_its_end(house: Any) -> None:
    with house.write() as ctx:
        for source, target in (("a", "b"), ("b", "c"), ("c", "a"), ("c", "c")):
            commands.link(ctx, source, "made", target)
        assert len(queries.ancestry(ctx, "a")) == 4
        for number in range(40):
            commands.link(ctx, f"n{number + 1}", "made", f"n{number}")
        assert len(queries.ancestry(ctx, "n0", limit=10)) == 10
