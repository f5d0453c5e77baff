"""Local files and folders: found from the file that names them, made absolute, carried or uploaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from doubleloop.base import errors
from doubleloop.specs import documents

CONDA = "name: c\nchannels: [conda-forge]\ndependencies:\n- python=3.11\n- pip:\n  - pandas==2.2.3\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project in the usual layout: code, data and environment beside the folder of the YAML files."""
    for folder in ("src", "data", "mlops/train", "environment", "components/prep/code", "model"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "data/x.csv").write_text("a,b\n1,2\n")
    (tmp_path / "environment/conda.yml").write_text(CONDA)
    (tmp_path / "components/prep/component.yml").write_text(
        "name: prep\nversion: 1\ntype: command\ncode: code\ncommand: python p.py --in ${{inputs.raw}}\n"
        "inputs: {raw: {type: uri_file}}\noutputs: {out: {type: uri_folder}}\n"
        "environment:\n  image: python\n  conda_file: ../../environment/conda.yml\n"
    )
    (tmp_path / "mlops/train/pipeline.yml").write_text(
        "$schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json\ntype: pipeline\n"
        "inputs:\n  raw: {type: uri_file, path: ../../data/x.csv}\n"
        "jobs:\n  prep:\n    component: ../../components/prep/component.yml\n"
        "    inputs: {raw: '${{parent.inputs.raw}}'}\n"
        "  train:\n    command: python t.py ${{inputs.t}}\n    code: ../../src\n"
        "    environment: azureml:e@latest\n    inputs: {t: '${{parent.jobs.prep.outputs.out}}'}\n"
    )
    return tmp_path


def write(folder: Path, text: str, name: str = "f.yml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_paths_start_at_the_file_that_they_are_written_in(project: Path) -> None:
    document = documents.load(project / "mlops/train/pipeline.yml")
    found = {path.pointer: (path.path, path.is_dir) for path in documents.local_paths(document)}
    assert found == {
        "inputs.raw.path": (project / "data/x.csv", False),
        "jobs.prep.component.code": (project / "components/prep/code", True),
        "jobs.train.code": (project / "src", True),
    }


def test_a_component_file_becomes_part_of_the_pipeline_and_keeps_its_lines(project: Path) -> None:
    document = documents.load(project / "mlops/train/pipeline.yml")
    assert document.model.jobs["prep"].component.name == "prep"
    where = document.where("jobs.prep.component.command")
    assert Path(where.file).resolve() == project / "components/prep/component.yml"
    assert where.line == 5
    assert document.where("jobs.train.code").line == 11


def test_a_conda_file_is_carried_with_its_name_and_text(project: Path) -> None:
    document = documents.load(project / "mlops/train/pipeline.yml")
    carried = document.spec()["jobs"]["prep"]["component"]["environment"]["conda_file"]
    assert carried["text"] == CONDA
    assert Path(carried["$file"]).resolve() == project / "environment/conda.yml"


def test_the_name_of_a_carried_file_is_relative_like_the_file_that_was_given(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    document = documents.load("mlops/train/pipeline.yml")
    assert document.model.jobs["prep"].component.environment.conda_file.file == "environment/conda.yml"
    assert document.where("jobs.prep.component.code").file == "components/prep/component.yml"


def test_an_inline_conda_mapping_is_carried_at_its_own_line(tmp_path: Path) -> None:
    path = write(tmp_path, "name: e\nimage: python\nconda_file:\n  dependencies:\n  - python=3.11\n")
    conda = documents.load(path).model.conda_file
    assert conda.text.splitlines()[2] == json.dumps({"dependencies": ["python=3.11"]})
    assert conda.file == str(path)


def test_requirements_files_travel_with_the_conda_file_that_includes_them(tmp_path: Path) -> None:
    for folder in ("env/more", "mlops"):
        (tmp_path / folder).mkdir(parents=True)
    write(tmp_path, "six\n", "requirements.txt")
    write(tmp_path, "-c limits.txt\ntomli  # -r not.txt\n", "env/more/all.txt")
    write(tmp_path, "six<2\n", "env/more/limits.txt")
    write(tmp_path, "dependencies:\n- pip:\n  - -r ../requirements.txt\n  - -r more/all.txt\n", "env/conda.yml")
    files = {"../requirements.txt": "six\n", "more/all.txt": "-c limits.txt\ntomli  # -r not.txt\n"}
    files["more/limits.txt"] = "six<2\n"
    job = documents.load(write(tmp_path, "command: x\nenvironment: {conda_file: ../env/conda.yml}\n", "mlops/job.yml"))
    assert job.model.environment.conda_file.files == files
    assert documents.from_wire(json.loads(json.dumps(job.to_wire()))).model.environment.conda_file.files == files
    inline = "name: e\nimage: x\nconda_file:\n  dependencies:\n  - pip: ['--requirement requirements.txt']\n"
    assert documents.load(write(tmp_path, inline)).model.conda_file.files == {"requirements.txt": "six\n"}


def test_replaced_paths_travel_and_the_rest_stays(project: Path) -> None:
    document = documents.load(project / "mlops/train/pipeline.yml")
    tree, blob = "tree:sha256:" + "1" * 64, "blob:sha256:" + "2" * 64
    sent = documents.with_paths(
        document,
        {"inputs.raw.path": blob, "jobs.prep.component.code": tree, "jobs.train.code": f"{tree}/sub"},
    )
    assert documents.local_paths(sent) == []
    wire = json.loads(json.dumps(sent.to_wire()))
    del wire["spec"]["jobs"]["prep"]["component"]["environment"]["conda_file"]["$file"]
    assert str(project) not in json.dumps(wire["spec"])
    wire = sent.to_wire()
    back = documents.from_wire(wire)
    assert back.model.jobs["train"].code == f"{tree}/sub"
    assert back.where("jobs.prep.component.command") == document.where("jobs.prep.component.command")


def test_only_local_paths_can_be_replaced_and_only_by_content(project: Path) -> None:
    document = documents.load(project / "mlops/train/pipeline.yml")
    with pytest.raises(errors.InvalidInput, match="not a local path"):
        documents.with_paths(document, {"jobs.train.environment": "tree:sha256:" + "1" * 64})
    with pytest.raises(errors.InvalidInput, match="not a content address"):
        documents.with_paths(document, {"jobs.train.code": "/etc"})


def test_a_wire_form_may_still_hold_paths_that_this_machine_lacks(project: Path) -> None:
    wire = documents.load(project / "mlops/train/pipeline.yml").to_wire()
    wire["spec"]["jobs"]["train"]["code"] = "/not/here"
    assert documents.from_wire(wire).model.jobs["train"].code == "/not/here"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("command: x\nenvironment: azureml:e:1\ncode: nowhere\n", 3, "'nowhere' of 'code' does not exist"),
        ("command: x\nenvironment:\n  conda_file: no.yml\n", 3, "'no.yml' does not exist"),
        ("command: x\nenvironment:\n  conda_file: folder\n", 3, "is a folder"),
        ("command: x\nenvironment: {build: {path: file.csv}}\n", 2, "a folder is needed"),
        ("name: d\ntype: uri_file\npath: folder\n", 3, "is a folder"),
        ("name: d\ntype: uri_folder\npath: file.csv\n", 3, "is a file"),
        ("name: d\ntype: mltable\npath: folder\n", 3, "holds no file named MLTable"),
        ("command: x\nenvironment:\n  conda_file: includes.yml\n", 0, "'gone.txt' does not exist"),
        ("type: pipeline\njobs:\n  a:\n    component: missing.yml\n", 4, "'missing.yml' does not exist"),
        ("type: pipeline\njobs:\n  a:\n    component: bad.yml\n", 2, "written twice"),
    ],
)
def test_a_missing_or_wrong_file_is_said_with_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    (tmp_path / "folder").mkdir()
    write(tmp_path, "a\n", "file.csv")
    write(tmp_path, "name: a\nname: b\n", "bad.yml")
    write(tmp_path, "dependencies: [{pip: [-r gone.txt]}]\n", "includes.yml")
    with pytest.raises(errors.InvalidInput) as caught:
        documents.load(write(tmp_path, text))
    assert says in caught.value.what
    assert caught.value.where and caught.value.where.line == line


def test_a_file_that_does_not_exist_or_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInput, match="does not exist"):
        documents.load(tmp_path / "none.yml")
    with pytest.raises(errors.InvalidInput, match="is a folder"):
        documents.load(tmp_path)
    (tmp_path / "latin.yml").write_bytes("name: \xe9".encode("latin-1"))
    with pytest.raises(errors.InvalidInput, match="UTF-8"):
        documents.load(tmp_path / "latin.yml")


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    (tmp_path / "bom.yml").write_bytes(b"\xef\xbb\xbfname: d\ntype: uri_file\npath: https://x\n")
    assert documents.load(tmp_path / "bom.yml").model.name == "d"


def test_an_environment_file_can_be_named(tmp_path: Path) -> None:
    write(tmp_path, CONDA, "conda.yml")
    write(tmp_path, "name: e\nimage: python\nconda_file: conda.yml\n", "env.yml")
    job = documents.load(write(tmp_path, "command: x\nenvironment: file:./env.yml\n")).model
    assert (job.environment.name, job.environment.conda_file.text) == ("e", CONDA)


def test_a_scheduled_job_is_read_in_and_its_changes_are_applied(project: Path) -> None:
    path = write(
        project / "mlops",
        "$schema: http://azureml/sdk-2-0/Schedule.json\nname: nightly\n"
        "trigger: {type: cron, expression: '0 3 * * *'}\n"
        "create_job:\n  type: pipeline\n  job: train/pipeline.yml\n  experiment_name: night\n"
        "  inputs: {raw: 'azureml:x:2'}\n  settings: {force_rerun: true}\n  tags: {by: schedule}\n",
    )
    schedule = documents.load(path)
    job = documents.scheduled_job(schedule)
    assert not isinstance(job, str)
    assert job.kind == "pipeline_job"
    assert job.spec()["inputs"]["raw"] == {"type": "uri_file", "path": "azureml:x:2"}
    assert (job.model.experiment_name, job.model.settings.force_rerun) == ("night", True)
    assert job.where("inputs.raw").line == 8
    assert job.where("jobs.train.code").line == 11
    assert documents.local_paths(schedule)[0].pointer.startswith("create_job.job.")


def test_a_scheduled_job_by_path_alone_or_by_name(project: Path) -> None:
    head = "name: n\ntrigger: {type: cron, expression: '0 3 * * *'}\ncreate_job: "
    job = documents.scheduled_job(documents.load(write(project / "mlops", head + "train/pipeline.yml\n")))
    assert not isinstance(job, str) and list(job.model.jobs) == ["prep", "train"]
    assert documents.scheduled_job(documents.load(write(project, head + "azureml:old-job\n"))) == "azureml:old-job"


def test_a_schedule_that_changes_an_input_the_job_lacks_is_refused(project: Path) -> None:
    path = write(
        project / "mlops",
        "name: n\ntrigger: {type: cron, expression: '0 3 * * *'}\ncreate_job:\n  job: train/pipeline.yml\n"
        "  inputs:\n    rwa: 1\n",
    )
    with pytest.raises(errors.InvalidInput, match="no input 'rwa'") as caught:
        documents.load(path)
    assert caught.value.where and caught.value.where.line == 6
    assert caught.value.cure == "did you mean 'raw'?"


def test_changes_merge_maps_and_replace_values(project: Path) -> None:
    job = documents.load(project / "mlops/train/pipeline.yml")
    changed = documents.with_changes(
        job, {"inputs": {"raw": "azureml:y@prod"}, "tags": {"a": "b"}, "display_name": "z"}
    )
    assert changed.spec()["inputs"]["raw"] == {"type": "uri_file", "path": "azureml:y@prod"}
    assert (changed.model.tags, changed.model.display_name) == ({"a": "b"}, "z")
    assert list(changed.model.jobs) == ["prep", "train"]


COMPONENT = "name: c\nversion: 1\ncommand: python t.py\nenvironment: azureml:e@latest\n"


def included(file: Path) -> list[tuple[str, Path, tuple[Path, ...], bool]]:
    paths = documents.local_paths(documents.load(file))
    return [(each.pointer, each.path, each.includes, each.named) for each in paths]


def test_what_a_component_includes_belongs_to_its_code(project: Path) -> None:
    shared, packed = project / "shared", project / "assets.zip"
    (shared / "deep").mkdir(parents=True)
    (project / "assets").mkdir()
    folder = project / "components/prep"
    with_key = write(folder, f"{COMPONENT}code: code\nadditional_includes:\n- ../../shared\n- ../../assets.zip\n")
    expected = [("code", folder / "code", (shared, packed), False)]
    assert included(with_key) == expected
    with_key.unlink()
    beside = write(folder, f"{COMPONENT}code: code\n")
    write(folder, "# shared by all\n../../shared\n\n../../assets.zip\n", "f.additional_includes")
    assert included(beside) == expected
    write(folder, "additional_includes:\n  - ../../shared\n  - ../../assets.zip\n", "f.additional_includes")
    assert included(beside) == expected
    write(folder, COMPONENT)
    assert included(beside) == [("code", shared, (packed,), True)]
    pipeline = write(project, "type: pipeline\njobs: {a: {component: components/prep/f.yml}}\n", "p.yml")
    assert included(pipeline) == [("jobs.a.component.code", shared, (packed,), True)]
    document = documents.load(pipeline)
    sent = documents.with_paths(document, {"jobs.a.component.code": "tree:sha256:" + "1" * 64})
    assert "additional_includes" not in sent.spec()["jobs"]["a"]["component"]
    assert documents.local_paths(sent) == []


@pytest.mark.parametrize(
    ("text", "beside", "file", "line", "says"),
    [
        ("additional_includes:\n- ../missing", "", "f.yml", 6, "'../missing' of 'additional_includes' does not exist"),
        ("additional_includes:\n- ../missing.zip", "", "f.yml", 6, "does not exist"),
        ("additional_includes:\n- ../src\n- ../more/src", "", "f.yml", 7, "would take the place of '../src'"),
        ("code: ../more\nadditional_includes: [../src]", "", "f.yml", 6, "take the place of the code's own src"),
        ("code: azureml:c:1\nadditional_includes: [../src]", "", "f.yml", 1, "copied into local code"),
        ("additional_includes: [../src]", "../src", "f.yml", 5, "are written here and in"),
        ("code: ../src", "\n../missing", "f.additional_includes", 2, "does not exist"),
        ("code: ../src", "additional_includes: text", "f.additional_includes", 1, "not a list of paths"),
        ("code: ../src", "additional_includes:\n- {type: artifact}", "f.additional_includes", 2, "additional_includes"),
    ],
)
def test_what_cannot_be_included_is_told_with_its_line(
    project: Path, text: str, beside: str, file: str, line: int, says: str
) -> None:
    (project / "more/src").mkdir(parents=True)
    path = write(project / "model", f"{COMPONENT}{text}\n")
    if beside:
        write(project / "model", beside, "f.additional_includes")
    with pytest.raises((errors.InvalidInput, errors.NotSupported)) as caught:
        documents.load(path)
    assert says in str(caught.value)
    assert caught.value.where is not None
    assert (Path(caught.value.where.file).name, caught.value.where.line) == (file, line)
