"""Entry of the runner: ``<env>/bin/python run.py <run dir>/job.json``; values of secrets come on standard input.

Returns to its caller as soon as the run is in hands that no longer depend on it: exit 0 when this call started the run,
75 when the run had been started before (by this or another caller), 76 when the process that was to hold it was killed
before it could say so, 2 when ``job.json`` cannot be right, 1 otherwise.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import traceback
import types

if not __package__:  # started by file path: make the files beside this one importable, and nothing else
    _here = types.ModuleType("doubleloop_runner")
    _here.__path__ = [os.path.dirname(os.path.abspath(__file__))]
    sys.modules[_here.__name__] = _here
    __package__ = _here.__name__

from . import disk, job, process, supervisor

STARTED, FAILED, BAD_JOB, STARTED_BEFORE, DIED = 0, 1, 2, 75, 76

_ANSWERS = {"started": STARTED, "before": STARTED_BEFORE}


def main(argv: list) -> int:
    if len(argv) != 2:
        print("usage: run.py <run dir>/job.json", file=sys.stderr)
        return BAD_JOB
    path = os.path.abspath(argv[1])
    try:
        asked = job.load(path)
        if asked.secret_names:
            job.receive(asked, sys.stdin.buffer.read())
    except job.BadJob as error:
        print(error, file=sys.stderr)
        return BAD_JOB
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        _become_supervisor(asked, os.path.dirname(path), writer)
    os.close(writer)
    answer = os.read(reader, 4096).decode() or "died while starting"
    if answer not in _ANSWERS:
        print(answer, file=sys.stderr)
    return DIED if answer.startswith("died") else _ANSWERS.get(answer, FAILED)


def _become_supervisor(asked: job.Job, rundir: str, caller: int) -> None:
    try:
        os.setsid()
        lock = _claim(rundir)
        if lock is not None:
            _leave_caller(rundir)
        _answer(caller, "before" if lock is None else "started")
    except BaseException as error:
        _answer(caller, "failed: %s" % error)
        os._exit(FAILED)
    try:
        if lock is not None:
            supervisor.Supervisor(asked, rundir).run()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(0)


def _answer(caller: int, text: str) -> None:
    with contextlib.suppress(OSError):  # the caller may have been killed since; the run goes on without it
        os.write(caller, text.encode())
    os.close(caller)


def _claim(rundir: str) -> int | None:
    """The lock on the run directory, held until this process ends; None when the run was started before.

    A run is started at most once: who finds the pid of an earlier runner leaves it, also when that runner is dead.
    """
    lock = os.open(os.path.join(rundir, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return None
    if os.path.exists(os.path.join(rundir, "pid")):
        return None
    disk.write_json(os.path.join(rundir, "pid"), process.identity(os.getpid()))
    return lock


def _leave_caller(rundir: str) -> None:
    """Let go of the caller's terminal, pipes and working directory."""
    null = os.open(os.devnull, os.O_RDONLY)
    log = os.open(os.path.join(rundir, "runner.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.chdir(rundir)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
