"""From MLflow's registry to a version of ours: its files, its signature, and whose it is."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from doubleloop.base import actors, errors
from doubleloop.catalog import commands as catalog
from doubleloop.catalog import queries as assets
from doubleloop.events import queries as events
from doubleloop.models import commands, queries, rules
from doubleloop.storage import ports as storage
from doubleloop.tracking import commands as notes
from doubleloop.tracking import ports as tracking
from doubleloop.tracking.fake import MemoryTracking
from doubleloop.tracking.queries import Origin

INPUTS = [{"type": "double", "name": "x", "required": True}]
PARAMS = [{"name": "temperature", "type": "double", "default": 0.0, "shape": None}]
MLMODEL = {
    "flavors": {"python_function": {"loader_module": "mlflow.sklearn"}, "sklearn": {"sklearn_version": "1.5.2"}},
    "mlflow_version": "2.9.2",
    "signature": {"inputs": json.dumps(INPUTS), "outputs": json.dumps([{"type": "double", "required": True}])},
}


@pytest.fixture
def server(house: Any) -> MemoryTracking:
    house.ports[tracking.Tracking] = made = MemoryTracking()
    return made


def model_files(folder: Path, content: str = "weights", mlmodel: Any = MLMODEL) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.pkl").write_text(content)
    if mlmodel is not None:
        (folder / "MLmodel").write_text(json.dumps(mlmodel))  # JSON is YAML
    return folder


def register(server: MemoryTracking, folder: Path, run_id: str | None = None, name: str = "bikes") -> str:
    return server.register(name, folder, run_id, key=str(folder))


def actor(job: str | None = None, user: str = "ada") -> actors.Actor:
    return actors.Actor(user, via=f"job:{job}/train" if job else "laptop")


def test_a_version_is_kept_byte_for_byte(house: Any, server: MemoryTracking, tmp_path: Path) -> None:
    number = register(server, model_files(tmp_path / "model"))
    folder = server.files_of("bikes", number)
    version = commands.record(house.contexts, "bikes", number)
    assert (version.id, version.flavor, version.reference) == (
        "model:registry/bikes:1", "mlflow", f"tree:sha256:{version.digest}",
    )  # fmt: skip
    (folder / "model.pkl").write_text("changed behind our back")
    laid = house.contexts.port(storage.Blobs).materialise(version.reference, tmp_path / "laid")
    assert (laid / "model.pkl").read_text() == "weights"
    assert version.signature == {"inputs": INPUTS, "outputs": [{"type": "double", "required": True}]}


def test_a_version_is_recorded_once_however_often_and_by_how_many(
    house: Any, server: MemoryTracking, tmp_path: Path
) -> None:
    number = register(server, model_files(tmp_path / "model"))
    threads = [threading.Thread(target=commands.record, args=(house.contexts, "bikes", number)) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    commands.record(house.contexts, "bikes", number)
    with house.read() as ctx:
        assert len(events.facts(ctx, types=["model.registered"])) == 1


def test_the_token_that_registered_says_whose_it_is(house: Any, server: MemoryTracking, tmp_path: Path) -> None:
    run = server.create_run("e", "r", {}, "ada")
    with house.contexts.write(actor("train-1"), "dev") as ctx:
        notes.note_run(ctx, run)
        catalog.link(ctx, "data:dev/rides:3", "input", "step:train-1/train")
        notes.note_registration(ctx, "bikes", "1")
    version = commands.record(house.contexts, "bikes", register(server, model_files(tmp_path / "model"), run))
    assert (version.created_by, version.job, version.step, version.workspace) == ("ada", "train-1", "train", "dev")
    assert version.training_data == ("data:dev/rides:3",)
    with house.read() as ctx:
        assert {(edge.source, edge.relation) for edge in assets.upstream(ctx, version.id)} == {
            ("step:train-1/train", "registered"), (f"run:{run}", "registered"),
        }  # fmt: skip
        assert [each.version for each in queries.of_job(ctx, "train-1")] == ["1"]
        (fact,) = events.facts(ctx, types=["model.registered"])
    assert (fact.actor, fact.data["job"], fact.data["created_by"]) == ("ada", "train-1", "ada")


def test_nobody_puts_a_version_under_a_jobs_name_by_naming_its_run(
    house: Any, server: MemoryTracking, tmp_path: Path
) -> None:
    """A release takes what its job has registered: not what somebody else says comes from its run."""
    run = server.create_run("e", "r", {}, "service:releases")
    with house.contexts.write(actors.service("releases"), "staging") as ctx:
        notes.note_run(ctx, run, Origin("service:releases", "staging", "retrain-1", "train"))
        catalog.link(ctx, "data:registry/rides:3", "input", "step:retrain-1/train")
    with house.contexts.write(actor(), "dev") as ctx:
        notes.note_registration(ctx, "bikes", "1")
    version = commands.record(house.contexts, "bikes", register(server, model_files(tmp_path / "model"), run))
    assert (version.created_by, version.job) == ("ada", None)
    assert version.authors == ("ada", "service:releases")
    assert version.training_data == ("data:registry/rides:3",)
    with house.read() as ctx:
        assert queries.of_job(ctx, "retrain-1") == []


def test_the_run_says_whose_it_is_when_a_crash_lost_the_word(
    house: Any, server: MemoryTracking, tmp_path: Path
) -> None:
    run = server.create_run("e", "r", {}, "ada")
    with house.contexts.write(actor("train-1"), "dev") as ctx:
        notes.note_run(ctx, run)
    register(server, model_files(tmp_path / "model"), run)
    (version,) = commands.sync(house.contexts)
    assert (version.created_by, version.job) == ("ada", "train-1")


def test_a_version_nobody_knows_of_has_no_author_and_says_so(
    house: Any, server: MemoryTracking, tmp_path: Path
) -> None:
    version = commands.record(house.contexts, "bikes", register(server, model_files(tmp_path / "model")))
    assert (version.created_by, version.authors, version.job) == ("unknown", ("unknown",), None)


def test_the_first_note_of_a_run_and_of_a_registration_stays(house: Any) -> None:
    from doubleloop.tracking import queries as origins

    for user in ("ada", "grace"):
        with house.contexts.write(actor(user=user), "dev") as ctx:
            notes.note_run(ctx, "run1")
            notes.note_registration(ctx, "bikes", "1")
    with house.read() as ctx:
        run, registrant = origins.origin_of_run(ctx, "run1"), origins.registrant(ctx, "bikes", "1")
    assert run and registrant and run.actor == registrant.actor == "ada"


def test_notes_need_the_right_to_make_them(house: Any) -> None:
    with house.write("eve") as ctx:
        with pytest.raises(errors.NotPermitted):
            notes.note_run(ctx, "run1")
        with pytest.raises(errors.NotPermitted):
            notes.note_registration(ctx, "bikes", "1")


def test_what_a_crash_left_over_is_found_and_only_what_is_complete(
    house: Any, server: MemoryTracking, tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        register(server, model_files(tmp_path / f"model{number}", str(number)))
    commands.record(house.contexts, "bikes", "2")
    entry, folder, key = server.versions[("bikes", "3")]
    pending = tracking.Registered(
        entry.name, "3", None, entry.source, entry.created_ms, "PENDING_REGISTRATION", "3"
    )  # fmt: skip
    server.versions[("bikes", "3")] = (pending, folder, key)
    assert [each.version for each in commands.sync(house.contexts)] == ["1"]
    assert commands.sync(house.contexts) == []


def test_a_version_that_is_only_just_there_is_left_to_who_registered_it(
    house: Any, server: MemoryTracking, tmp_path: Path
) -> None:
    """The proxy notes the registrant right after MLflow answered; the run of an ended job is not waited for."""
    now = int(house.contexts.now().timestamp() * 1000)
    run = server.create_run("e", "r", {}, "ada")
    number = register(server, model_files(tmp_path / "model"), run)
    _, folder, key = server.versions[("bikes", number)]
    server.versions[("bikes", number)] = (
        tracking.Registered("bikes", number, run, "", now, "READY", number), folder, key,
    )  # fmt: skip
    assert commands.sync(house.contexts) == []
    with house.contexts.write(actor("train-1"), "dev") as ctx:
        notes.note_run(ctx, run)
    assert [each.job for each in commands.sync(house.contexts, ended_job="train-1")] == ["train-1"]


def test_one_version_whose_files_are_gone_does_not_keep_others_out(
    house: Any, server: MemoryTracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        register(server, model_files(tmp_path / f"model{number}", str(number)))
    files = server.files_of

    def gone(name: str, version: str) -> Path:
        if version == "1":
            raise errors.NotFound("its files are not in the artifact store")
        return files(name, version)

    monkeypatch.setattr(server, "files_of", gone)
    assert [each.version for each in commands.sync(house.contexts)] == ["2"]


def test_a_version_that_mlflow_does_not_have_is_not_found(house: Any, server: MemoryTracking) -> None:
    with pytest.raises(errors.NotFound, match="has no bikes:9"):
        commands.record(house.contexts, "bikes", "9")


@pytest.mark.parametrize("text", ["- a\n- b", "a: [", "\0", "just text"])
def test_an_mlmodel_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidInput):
        rules.read_mlmodel(text, "MLmodel")


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ({}, None), ({"signature": None}, None), ({"signature": {}}, None), ({"signature": {"outputs": "[]"}}, None),
        ({"signature": {"inputs": "[]"}}, {"inputs": [], "outputs": None}), ({"signature": {"inputs": ""}}, None),
        ({"signature": {"inputs": json.dumps(INPUTS), "params": None}}, {"inputs": INPUTS, "outputs": None}),
        ({"signature": {"inputs": json.dumps(INPUTS), "params": json.dumps(PARAMS)}},
         {"inputs": INPUTS, "outputs": None, "params": PARAMS}),
    ],
)  # fmt: skip
def test_a_signature_is_read_or_there_is_none(written: dict[str, Any], found: Any) -> None:
    assert rules.signature(written) == found


@pytest.mark.parametrize(
    "written",
    [
        {"signature": {"inputs": "not json"}},
        {"signature": {"inputs": 5}},
        {"signature": {"inputs": "[{}]", "params": "{}"}},
        {"signature": "x"},
        {"signature": {"inputs": "{}"}},
    ],
)
def test_a_signature_that_makes_no_sense_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidInput):
        rules.signature(written)


def upload(house: Any, folder: Path) -> str:
    from doubleloop.data import commands as data

    return data.store_path(house.contexts.port(storage.Blobs), folder)


def test_files_are_registered_under_a_name_in_mlflows_registry_too(
    house: Any, server: MemoryTracking, tmp_path: Path
) -> None:
    reference = upload(house, model_files(tmp_path / "model"))
    made = commands.create(house.contexts, house.actor("ada"), "dev", "bikes", reference)
    again = commands.create(house.contexts, house.actor("ada"), "dev", "bikes", reference)
    assert (made.version, again.version, made.created_by, len(server.versions)) == ("1", "1", "ada", 1)
    other = upload(house, model_files(tmp_path / "other", "other weights"))
    assert commands.create(house.contexts, house.actor("ada"), "dev", "bikes", other, called("2")).version == "2"


def test_a_file_that_is_no_mlflow_model_is_a_custom_one_under_its_own_name(
    house: Any, server: MemoryTracking, tmp_path: Path
) -> None:
    (tmp_path / "weights.bin").write_bytes(b"x")
    made = commands.create(house.contexts, house.actor("ada"), "dev", "w", upload(house, tmp_path / "weights.bin"))
    assert (made.flavor, made.signature, made.reference.rpartition("/")[2]) == ("custom", None, "weights.bin")


def called(version: str) -> tracking.About:
    return tracking.About(version)


def test_a_version_is_called_as_one_likes_and_mlflow_counts_with_it_where_it_can(
    house: Any, server: MemoryTracking, tmp_path: Path
) -> None:
    reference = upload(house, model_files(tmp_path / "model"))

    def create(about: tracking.About = tracking.NOTHING, files: str = reference) -> tuple[str, str]:
        made = commands.create(house.contexts, house.actor("ada"), "dev", "bikes", files, about)
        return made.version, made.number

    assert create(called("1795759200")) == ("1795759200", "1795759200")
    assert create(called("v2")) == ("v2", "1795759201")
    assert create(called("1795759201")) == ("1795759201", "1795759202")  # MLflow's number of v2
    assert create() == ("1795759203", "1795759203")
    assert create(called("0007")) == ("0007", "1795759204") == create(called("0007"))
    assert commands.sync(house.contexts) == []
    about = tracking.About("kept", "what it is", {"team": "a"}, {"p": "q"})
    made = commands.create(house.contexts, house.actor("ada"), "dev", "bikes", reference, about)
    assert (made.description, made.tags, made.properties) == ("what it is", {"team": "a"}, {"p": "q"})
    with pytest.raises(errors.InvalidInput, match="cannot be the version"):
        create(called("a b"))


def test_content_of_a_version_never_changes(house: Any, server: MemoryTracking, tmp_path: Path) -> None:
    reference = upload(house, model_files(tmp_path / "model"))
    commands.create(house.contexts, house.actor("ada"), "dev", "bikes", reference, called("1"))
    other = upload(house, model_files(tmp_path / "other", "other weights"))
    with pytest.raises(errors.Conflict, match="exists with other content"):
        commands.create(house.contexts, house.actor("ada"), "dev", "bikes", other, called("1"))


def test_who_may_not_register_does_not(house: Any, server: MemoryTracking, tmp_path: Path) -> None:
    reference = upload(house, model_files(tmp_path / "model"))
    for user, workspace in (("eve", "dev"), ("ada", "prod")):
        with pytest.raises(errors.NotPermitted):
            commands.create(house.contexts, house.actor(user), workspace, "bikes", reference)
    assert server.versions == {}


def test_a_champion_is_named_for_each_workspace(house: Any, server: MemoryTracking, tmp_path: Path) -> None:
    for number in (1, 2):
        commands.record(house.contexts, "bikes", register(server, model_files(tmp_path / f"m{number}", str(number))))
    with house.write("service:releases", "prod") as ctx:
        assert queries.champion(ctx, "bikes", "prod") is None
        commands.set_champion(ctx, "bikes", "1")
    with house.write("service:releases", "staging") as ctx:
        commands.set_champion(ctx, "bikes", "2")
        assert {place: getattr(queries.champion(ctx, "bikes", place), "version", None) for place in
                ("dev", "staging", "prod")} == {"dev": None, "staging": "2", "prod": "1"}  # fmt: skip
        with pytest.raises(errors.NotFound):
            commands.set_champion(ctx, "bikes", "3")
        assert queries.resolve(ctx, "bikes@champion.prod").version == "1"


def test_versions_are_found_and_missing_ones_told_with_what_there_is(
    house: Any, server: MemoryTracking, tmp_path: Path
) -> None:
    for number in (1, 2):
        commands.record(house.contexts, "bikes", register(server, model_files(tmp_path / f"m{number}", str(number))))
    with house.read() as ctx:
        assert [queries.resolve(ctx, text).version for text in ("bikes", "bikes@latest", "azureml:bikes:1")] == list(
            "221"
        )
        assert [each.version for each in queries.versions(ctx, "bikes")] == ["2", "1"]
        with pytest.raises(errors.NotFound) as caught:
            queries.get(ctx, "bikes", "3")
        assert "bikes has: 1, 2" in caught.value.cure
    with house.write("linus") as ctx:
        commands.archive(ctx, "bikes", "2")
        assert queries.resolve(ctx, "bikes").version == "1"
        with pytest.raises(errors.NotFound):
            commands.archive(ctx, "bikes", "9")


def test_an_alias_of_mlflow_is_a_label_until_it_is_taken_away(
    house: Any, server: MemoryTracking, tmp_path: Path
) -> None:
    first, second = (register(server, model_files(tmp_path / name, name)) for name in ("one", "two"))
    ada = actor()

    def found(label: str) -> str | None:
        with house.read() as ctx:
            try:
                return queries.resolve(ctx, f"models:/bikes@{label}").version
            except errors.NotFound:
                return None

    commands.follow_alias(house.contexts, ada, "bikes", "best", first)
    commands.follow_alias(house.contexts, ada, "bikes", "best", second)
    assert found("best") == second
    commands.follow_alias(house.contexts, ada, "bikes", "champion.prod", first)  # releases name champions
    commands.follow_alias(house.contexts, ada, "bikes", "best", None)
    commands.follow_alias(house.contexts, ada, "bikes", "never", None)
    assert found("best") is None and found("champion.prod") is None
    with pytest.raises(errors.InvalidInput, match="cannot be a label"):
        commands.follow_alias(house.contexts, ada, "bikes", "a b", first)
