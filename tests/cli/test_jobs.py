"""Jobs from the command line: submitted once, followed across steps and restarts, left running by Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import Any

from small_server import Reply

from doubleloop.base import errors
from doubleloop.specs import documents

JOB = """$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json
command: python train.py --rate ${{inputs.rate}}
code: src
environment: azureml:e:1
compute: azureml:cpu-cluster
inputs:
  rate: 0.1
"""


def running(server: Any, *statuses: str, **more: Any) -> None:
    """A job j1 whose status is each of ``statuses`` in turn."""
    server.on("GET", "workspaces/dev/jobs/j1", *[{"id": "j1", "status": status, **more} for status in statuses])


def steps(server: Any, **statuses: str) -> None:
    items = [{"name": name, "status": status} for name, status in statuses.items()]
    server.on("GET", "workspaces/dev/jobs/j1/steps", {"items": items, "next": None})


def log(server: Any, step: str, *parts: bytes) -> None:
    """The log of a step, growing by a part each time its end is reached; whole after the last."""
    known, left = [parts[0] if parts else b""], list(parts[1:])

    def read(seen: Any) -> Reply:
        offset = int(seen.query["offset"])
        content = known[0][offset : offset + 1000]
        if not content and left:
            known[0] += left.pop(0)
        end = not left and offset + len(content) >= len(known[0])
        return Reply(200, content, {"x-next-offset": str(offset + len(content)), "x-end": str(end).lower()})

    server.on("GET", f"workspaces/dev/jobs/j1/steps/{step}/log", read)


def submitted(terminal: Any, server: Any, *words: str) -> Any:
    terminal.file("src/train.py", "print(1)")
    server.on("POST", "workspaces/dev/jobs", lambda seen: {"id": seen.json["id"], "status": "queued"})
    return terminal("job", "create", "-f", terminal.file("job.yml", JOB), *words)


def test_a_job_is_submitted_with_its_code_and_an_id_of_its_own(terminal: Any, server: Any) -> None:
    done = submitted(terminal, server, "--set", "inputs.rate=0.5", "-e", "taxi")
    assert done.code == 0, done.err
    body = server.requests("POST", "workspaces/dev/jobs")[0].json
    model = documents.from_wire(body["document"]).model
    assert model.inputs["rate"] == 0.5
    assert [entry.path for entry in server.blobs.tree(model.code.removeprefix("tree:sha256:")).entries] == ["train.py"]
    assert body["experiment"] == "taxi"
    assert done.json == {"id": body["id"], "status": "queued"}
    assert f"doubleloop job stream -n {body['id']}" in done.err


def test_a_name_that_is_taken_is_a_conflict(terminal: Any, server: Any) -> None:
    server.on("GET", "workspaces/dev/jobs/j1", {"id": "j1"})
    done = submitted(terminal, server, "-n", "j1")
    assert done.code == 5
    assert "There is a job j1 already" in done.err
    done = submitted(terminal, server, "-n", "j2")
    assert done.json["id"] == "j2"


def test_a_log_is_shown_as_it_grows_and_a_letter_cut_in_two_is_whole(terminal: Any, server: Any) -> None:
    running(server, "queued", "running", "running", "running", "completed")
    steps(server, train="running")
    text = "epoch 1\nmaß\nlast line without its end"
    content = text.encode()
    log(server, "train", content[:10], content[10:11], content[11:])
    done = terminal("job", "stream", "-n", "j1")
    assert (done.code, done.out) == (0, text + "\n")


def test_lines_of_several_steps_are_told_apart(terminal: Any, server: Any) -> None:
    running(server, "running", "completed")
    server.on("GET", "workspaces/dev/jobs/j1/steps", {"items": [
        {"name": "prep", "status": "completed", "reused_from": "j0"},
        {"name": "train", "status": "failed", "reason": "exit 1"},
        {"name": "score", "status": "skipped", "reason": "train failed"},
    ], "next": None})  # fmt: skip
    log(server, "prep", b"one\ntwo\n")
    log(server, "train", b"boom\n")
    assert terminal("job", "stream", "-n", "j1").out == (
        "[prep] one\n[prep] two\n[prep] completed (reused from j0)\n[train] boom\n[train] failed: exit 1\n"
        "[score] skipped: train failed\n"
    )


def test_for_programs_the_log_goes_to_stderr_and_the_job_to_stdout(terminal: Any, server: Any) -> None:
    running(server, "completed")
    steps(server, train="completed")
    log(server, "train", b"hello\n")
    done = terminal("job", "stream", "-n", "j1", "-o", "json")
    assert done.json == {"id": "j1", "status": "completed"}
    assert "hello" in done.err


def test_a_failed_job_ends_with_its_reason_and_code_1(terminal: Any, server: Any) -> None:
    running(
        server, "running", "failed", error={"code": "failed", "message": "train exited with 3", "cure": "See the log."}
    )
    steps(server, train="failed")
    log(server, "train", b"trace\n")
    done = terminal("job", "stream", "-n", "j1")
    assert done.code == 1
    assert done.out == "trace\n"
    assert done.err == "error: Job j1 failed: train exited with 3\n  cure: See the log.\n"


def test_following_survives_a_restart_of_the_server(terminal: Any, server: Any) -> None:
    away = Reply(503, errors.Unavailable("starting").to_dict())
    job = {"id": "j1", "status": "running"}
    server.on("GET", "workspaces/dev/jobs/j1", job, Reply(200, {}, cut=0), Reply(200, {}, cut=0), away, away, job,
              {"id": "j1", "status": "completed"})  # fmt: skip
    steps(server, train="running")
    log(server, "train", b"before\n", b"after\n")
    done = terminal("job", "stream", "-n", "j1")
    assert (done.code, done.out) == (0, "before\nafter\n")


def test_a_step_that_never_had_a_log_is_no_error(terminal: Any, server: Any) -> None:
    running(server, "cancelled")
    steps(server, train="cancelled")
    done = terminal("job", "stream", "-n", "j1")
    assert done.code == 1
    assert "Job j1 cancelled" in done.err


def test_ctrl_c_leaves_the_job_running_and_says_so(terminal: Any, server: Any) -> None:
    looked = threading.Event()

    def job(_: Any) -> dict[str, str]:
        looked.set()
        return {"id": "j1", "status": "running"}

    server.on("GET", "workspaces/dev/jobs/j1", job)
    steps(server, train="running")
    log(server, "train", b"going\n")
    process = terminal.start("job", "stream", "-n", "j1")
    assert process.stdout.readline() == "going\n"
    assert looked.wait(30)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "the job goes on" in err
    assert "Traceback" not in err
    assert not server.requests("POST", ".*cancel")


def test_ctrl_c_inside_a_destructor_is_not_lost() -> None:
    """What Python drops there (it only prints it) is raised by the next look of a loop."""
    code = """
import os, signal
from doubleloop.cli import interrupts
interrupts.install()
class Response:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000): pass
Response()
try:
    interrupts.check()
except KeyboardInterrupt:
    print("kept")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("kept\n", "")


def test_create_and_stream_is_one_command(terminal: Any, server: Any) -> None:
    running(server, "completed")
    steps(server, train="completed")
    log(server, "train", b"hello\n")
    done = submitted(terminal, server, "-n", "j1", "--stream", "--query", "status", "-o", "tsv")
    assert done.code == 5  # j1 is there already in this server
    server.on(
        "GET",
        "workspaces/dev/jobs/j1",
        Reply(404, errors.NotFound("no").to_dict()),
        {"id": "j1", "status": "completed"},
    )
    done = submitted(terminal, server, "-n", "j1", "--stream", "--query", "status", "-o", "tsv")
    assert (done.code, done.out) == (0, "completed\n")


def test_show_has_the_steps(terminal: Any, server: Any) -> None:
    running(server, "completed", display_name="train")
    steps(server, prep="completed", train="completed")
    assert [step["name"] for step in terminal("job", "show", "-n", "j1").json["steps"]] == ["prep", "train"]
    page = terminal("job", "show", "j1", "-o", "table").out
    assert page.startswith("Id            j1\nStatus        completed\nDisplay name  train\n\nStep   Status")


def test_cancel_and_retry(terminal: Any, server: Any) -> None:
    server.on("POST", "workspaces/dev/jobs/j1/cancel", {"id": "j1", "status": "cancelled"})
    server.on("POST", "workspaces/dev/jobs/j1/retry", {"id": "j1", "status": "queued"})
    assert terminal("job", "cancel", "-n", "j1").json["status"] == "cancelled"
    assert terminal("job", "retry", "-n", "j1").json["status"] == "queued"


def test_outputs_are_fetched_by_name(terminal: Any, server: Any) -> None:
    source = terminal.folder / "source"
    (source / "model").mkdir(parents=True)
    (source / "model/weights").write_text("w")
    tree = f"tree:sha256:{server.blobs.put_tree(source).sha256}"
    blob = f"blob:sha256:{server.blobs.put_bytes(b'0.5')}"
    outputs = {"artifacts": {"reference": tree, "type": "uri_folder"}, "score": {"reference": blob, "type": "uri_file"},
               "elsewhere": {"reference": "https://x/y", "type": "uri_file"}}  # fmt: skip
    running(server, "completed", outputs=outputs)
    steps(server, train="completed")
    log(server, "train", b"x" * 1500 + b"the end\n")
    assert terminal("job", "download", "-n", "j1").json == {"artifacts": "artifacts"}
    assert (terminal.folder / "artifacts/model/weights").read_text() == "w"
    assert (terminal.folder / "artifacts/user_logs/std_log.txt").read_text() == "x" * 1500 + "the end\n"
    done = terminal("job", "download", "-n", "j1", "--output-name", "score", "-p", "out")
    assert done.json == {"score": "out/named-outputs/score"}
    assert (terminal.folder / "out/named-outputs/score/score").read_text() == "0.5"
    done = terminal("job", "download", "-n", "j1", "--output-name", "scor")
    assert (done.code, "It has: artifacts, elsewhere, score." in done.err) == (3, True)
    assert terminal("job", "download", "-n", "j1", "--all").code == 2


def test_the_own_folders_of_steps_are_fetched_beside_each_other(terminal: Any, server: Any) -> None:
    def own(text: str) -> dict[str, Any]:
        source = terminal.folder / f"source-{text}"
        source.mkdir()
        (source / "note.txt").write_text(text)
        return {"artifacts": {"reference": f"tree:sha256:{server.blobs.put_tree(source).sha256}"}}

    running(server, "completed", outputs={})
    items = [
        {"name": "prep", "status": "completed", "outputs": own("a")},
        {"name": "train", "status": "completed", "outputs": own("b")},
        {"name": "skip", "status": "skipped", "outputs": {}},
    ]
    server.on(
        "GET", "workspaces/dev/jobs/j1/steps", *[{"items": items, "next": None}] * 2, {"items": items[:1], "next": None}
    )
    log(server, "prep", b"first\n")
    log(server, "train", b"second\n")
    assert terminal("job", "download", "-n", "j1").json == {"artifacts": "artifacts"}
    assert (terminal.folder / "artifacts/prep/note.txt").read_text() == "a"
    assert (terminal.folder / "artifacts/train/note.txt").read_text() == "b"
    assert (terminal.folder / "artifacts/train/user_logs/std_log.txt").read_text() == "second\n"
    assert not (terminal.folder / "artifacts/skip").exists()
    terminal("job", "download", "-n", "j1", "-p", "single")
    assert (terminal.folder / "single/artifacts/note.txt").read_text() == "a"


def test_a_job_that_left_nothing_has_its_log(terminal: Any, server: Any) -> None:
    running(server, "failed", outputs={})
    steps(server, command="failed")
    log(server, "command", b"it broke\n")
    assert terminal("job", "download", "-n", "j1").json == {"artifacts": "artifacts"}
    assert (terminal.folder / "artifacts/user_logs/std_log.txt").read_text() == "it broke\n"


def test_validate_asks_the_server_and_starts_nothing(terminal: Any, server: Any) -> None:
    terminal.file("src/train.py", "print(1)")
    good = {"ok": True, "steps": [{"name": "prep", "needs": []}, {"name": "train", "needs": ["prep"]}], "problems": []}
    problem = {"code": "not_found", "message": "There is no environment e:1", "where": {"file": "job.yml", "line": 4},
               "cure": "Create it."}  # fmt: skip
    server.on("POST", "workspaces/dev/jobs/validate", good, {"ok": False, "steps": [], "problems": [problem]})
    file = terminal.file("job.yml", JOB)
    assert terminal("job", "validate", "-f", file, "-o", "table").out == (
        "The job can run. Its steps:\n  prep\n  train (after prep)\n"
    )
    done = terminal("job", "validate", "-f", file)
    assert (done.code, done.out) == (3, "")
    # Nothing else, save for the progress of an upload that takes its time.
    said = done.err.removeprefix("Uploading train.py\n")
    assert said == "error: There is no environment e:1\n  where: job.yml:4\n  cure: Create it.\n"
    assert not server.requests("POST", "workspaces/dev/jobs")


def test_a_compute_that_nobody_declared_is_told_once(terminal: Any, server: Any) -> None:
    server.on("GET", "workspaces/dev/computes", {"items": [{"name": "local"}, {"name": "gpu"}], "next": None})
    said = "the compute 'cpu-cluster' is declared nowhere and stands for this machine. Declared: gpu."
    assert submitted(terminal, server).err.count(said) == 1
    assert "declared nowhere" not in submitted(terminal, server, "--set", "compute=azureml:gpu").err
    assert "declared nowhere" not in submitted(terminal, server, "--set", "compute=local").err
