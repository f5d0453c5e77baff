"""Steps over mini-batches, carried out by the real runner; one is killed and goes on."""

from __future__ import annotations

import dataclasses
import os
import signal
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

from jobs_workshop import Workshop

from doubleloop.catalog import queries as catalog
from doubleloop.jobs import commands
from doubleloop.jobs.model import Job, Status, Task
from doubleloop.storage import ports as storage

MINIBATCHES: dict[str, Any] = {
    "entry": {"kind": "script", "script": "score.py", "arguments": []}, "over": ["data"], "model": None, "size": 1,
    "workers": 1, "max_retries": 0, "append_to": {"output": "score", "file": "predictions.csv"}, "folder": "score",
}  # fmt: skip


def task(shop: Workshop, tmp_path: Path, script: str, files: int = 3, **minibatches: Any) -> Task:
    blobs = shop.house.ports[storage.Blobs]
    for name in ("code", "data"):
        (tmp_path / name).mkdir()
    (tmp_path / "code" / "score.py").write_text(textwrap.dedent(script))
    for number in range(files):
        (tmp_path / "data" / f"{number}.txt").write_text("x")
    return Task(
        name="score", command="", environment="azureml:base@latest",
        code=f"tree:sha256:{blobs.put_tree(tmp_path / 'code').sha256}",
        inputs={"data": {"type": "uri_folder", "reference": f"tree:sha256:{blobs.put_tree(tmp_path / 'data').sha256}"}},
        outputs={"score": {"type": "uri_folder", "asset": "scores", "job_outputs": ["score"], "service": "batch"}},
        minibatches={**MINIBATCHES, **minibatches},
    )  # fmt: skip


def submit(shop: Workshop, made: Task) -> Job:
    with shop.house.write() as ctx:
        return commands.submit_task(ctx, made, inputs={}, purpose={"why": "test"})


def test_rows_are_the_jobs_output_and_a_data_version_with_its_lineage(shop: Workshop, tmp_path: Path) -> None:
    made = task(shop, tmp_path, "import os\ndef init(): pass\ndef run(m): return [os.path.basename(p) for p in m]")
    job = submit(shop, made)
    shop.engine.run()
    job = shop.job(job.id)
    assert job.status is Status.COMPLETED, shop.log(job.id)
    assert shop.text(job.outputs["score"], "predictions.csv") == "0.txt\n1.txt\n2.txt\n"
    with shop.house.read() as ctx:
        version = catalog.resolve(ctx, "data", "scores")
    assert version.id == job.outputs["score"]["asset"]
    assert not list((shop.house.home / "steps" / job.id / "score").glob("kept-*"))


def test_when_the_runner_is_killed_the_next_attempt_scores_only_the_rest(shop: Workshop, tmp_path: Path) -> None:
    script = f"""
        import os, time
        def init(): pass
        def run(mini_batch):
            name = os.path.basename(mini_batch[0])
            with open({str(tmp_path / "seen")!r}, "a") as file:
                file.write(name + " ")
            while name == "1.txt" and not os.path.exists({str(tmp_path / "go")!r}):
                time.sleep(0.05)
            return [name]
    """
    job = submit(shop, task(shop, tmp_path, script))
    worker = threading.Thread(target=shop.engine.run)
    worker.start()
    while not (tmp_path / "seen").exists() or "1.txt" not in (tmp_path / "seen").read_text():
        time.sleep(0.05)
    for pid in _processes_of(shop, job):
        os.kill(pid, signal.SIGKILL)
    (tmp_path / "go").touch()
    worker.join(120)
    assert shop.job(job.id).status is Status.COMPLETED, shop.log(job.id)
    assert shop.steps(job.id)["score"].attempt == 2
    assert (tmp_path / "seen").read_text().split() == ["0.txt", "1.txt", "1.txt", "2.txt"]
    assert shop.text(shop.job(job.id).outputs["score"], "predictions.csv") == "0.txt\n1.txt\n2.txt\n"


def _processes_of(shop: Workshop, job: Job) -> list[int]:
    """The runner first, then whatever works in this run's folder."""
    home = str(shop.house.home)
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if home in words and job.id in words:
                found.append(int(entry.name))
    return sorted(found)


def test_the_job_says_why_it_failed_and_a_retry_forgets_it(shop: Workshop, tmp_path: Path) -> None:
    script = f"""
        import os
        def run(mini_batch):
            if not os.path.exists({str(tmp_path / "go")!r}):
                raise KeyError("age")
            return mini_batch
    """
    job = submit(shop, task(shop, tmp_path, script, files=1))
    shop.engine.run()
    assert "Every file failed. First: mini-batch 1, 0.txt: KeyError: 'age'" in str(shop.job(job.id).error)
    (tmp_path / "go").touch()
    with shop.house.write() as ctx:
        commands.retry(ctx, job.id)
    shop.engine.run()
    assert shop.job(job.id).status is Status.COMPLETED, shop.log(job.id)


def test_another_setting_is_another_step_to_reuse(shop: Workshop, tmp_path: Path) -> None:
    made = task(shop, tmp_path, "def init(): pass\ndef run(m): return m")
    one = submit(shop, made)
    two = submit(shop, dataclasses.replace(made, minibatches={**MINIBATCHES, "size": 2}))
    shop.engine.run()
    digests = {shop.steps(each.id)["score"].digest for each in (one, two)}
    assert len(digests) == 2
