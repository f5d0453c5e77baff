"""Jobs whose workflow is gone: its successor finds what is kept and goes on; without one they fail with a reason."""

from __future__ import annotations

import threading
import time

from jobs_workshop import Workshop

from doubleloop.durable import commands as durable
from doubleloop.durable import store
from doubleloop.jobs import preparing, running, unfinished, workflows
from doubleloop.jobs.model import Status


def begun(shop: Workshop) -> str:
    """A job whose only step runs, and whose workflows are gone."""
    folder = shop.house.home.parent
    job = shop.submit(f"""
        type: command
        command: |
          echo begun >> {folder}/said; while [ ! -e {folder}/go ]; do sleep 0.05; done; echo done >> {folder}/said
        environment: azureml:base@latest
        """)
    workflows.open_job(shop.contexts, job.id)
    workflows.advance(shop.contexts, job.id)
    (name,) = shop.steps(job.id)
    ready = preparing.prepare(shop.contexts, job.id, name, 1)
    opened = running.open_run(shop.contexts, job.id, name, 1)
    key = (shop.contexts, job.id, name, 1, ready["python"], opened["experiment"])
    threading.Thread(target=running.run, args=key, daemon=True).start()
    deadline = time.monotonic() + 60
    while not (folder / "said").exists():
        assert time.monotonic() < deadline, "it never began"
        time.sleep(0.02)
    with shop.contexts.write(preparing.ACTOR) as ctx:
        store.remove(ctx, [intent.seq for intent in store.pending(ctx)])
    return job.id


def test_the_second_workflow_finds_the_command_that_the_first_had_started(shop: Workshop) -> None:
    id_ = begun(shop)
    with shop.contexts.write(preparing.ACTOR) as ctx:
        found = list(unfinished.search(ctx))
        for each in found:
            durable.start(ctx, each.workflow, each.workflow_id, each.argument)
    assert [each.workflow for each in found] == ["jobs.run", "jobs.step"]
    (shop.house.home.parent / "go").touch()
    shop.engine.run()
    assert shop.job(id_).status is Status.COMPLETED
    assert (shop.house.home.parent / "said").read_text() == "begun\ndone\n"
    with shop.house.read() as ctx:
        assert list(unfinished.search(ctx)) == []


def test_given_up_they_fail_with_the_reason_and_nothing_runs_on(shop: Workshop) -> None:
    id_ = begun(shop)
    with shop.house.read() as ctx:
        found = list(unfinished.search(ctx))
    for each in found:
        each.give_up(shop.contexts, "the engine failed twice")
    (step,) = shop.steps(id_).values()
    assert (step.status, step.reason) == (Status.FAILED, "the engine failed twice")
    assert shop.job(id_).status is Status.FAILED
    assert "the engine failed twice" in shop.job(id_).error
    assert shop.compute.wait(step.run, 30, 1).state.ended
    assert (shop.house.home.parent / "said").read_text() == "begun\n"
