"""The supervisor of one run: prepares the folders, starts the command through a keeper, watches, tells the outcome."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import shutil
import signal
import time
from datetime import datetime, timezone

from . import disk, keeper, logfile, masking, overlay, process
from .job import FOLDER_TYPES, Job

TICK_S = 0.2
DISK_LOOK_S = 1.0
DISK_LOOK_SHARE = 0.1  # at most this share of the time is spent counting files
_CHUNK = 64 * 1024
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Why a run ended, as written to exit.json.
COMPLETED, EXIT_CODE, SIGNAL = "completed", "exit code", "signal"
TIMEOUT, DISK_QUOTA, CANCELLED, TERMINATED, SETUP = "timeout", "disk quota", "cancelled", "terminated", "setup"


class Supervisor:
    """One per process. ``run`` takes as long as the command does and leaves ``exit.json`` behind."""

    def __init__(self, job: Job, rundir: str) -> None:
        self.job = job
        self.rundir = rundir
        self.code = os.path.join(rundir, "code")
        self._started_at = _now()
        self._told_to_stop = False
        self._why = ""  # the reason of the stop that we asked for
        self._kill_at = 0.0
        self._disk_bytes = 0
        self._report: dict = {}
        self._keeper = 0
        self._lifeline = -1

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self._on_sigterm)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        log = None
        try:
            env = self._prepare()
            log = logfile.CappedLog(os.path.join(self.rundir, "logs", "std_log.txt"), self.job.log_cap_bytes)
            if not self._cancel_wanted():
                self._supervise(env, log)
        except (OSError, shutil.Error) as error:
            self._report = {"error": "the run could not be prepared: %s" % error}
        if log is not None:
            log.close()
        self._write_exit(log)

    # -- before the command -------------------------------------------------------------------------------------

    def _prepare(self) -> dict:
        """Folders, a writable copy of the code, the overlay; returns the command's environment."""
        for name in ("home", "logs", "tmp"):
            os.makedirs(os.path.join(self.rundir, name), exist_ok=True)
        if self.job.code_dir:
            shutil.copytree(self.job.code_dir, self.code, symlinks=True)
            _make_writable(self.code)
        for name in ("outputs", "logs"):
            os.makedirs(os.path.join(self.code, name), exist_ok=True)
        for output in self.job.outputs.values():
            is_folder = output["type"] in FOLDER_TYPES
            os.makedirs(output["path"] if is_folder else os.path.dirname(output["path"]), exist_ok=True)
        return self._environment(overlay.create(os.path.join(self.rundir, "overlay")))

    def _environment(self, laid: dict) -> dict:
        env = {
            "HOME": os.path.join(self.rundir, "home"),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",  # so that the log streams
            "TMPDIR": os.path.join(self.rundir, "tmp"),  # so that temporary files count against the quota
        }
        env.update(self.job.env)
        env.update(self.job.secrets)
        env["PATH"] = laid["bin"] + os.pathsep + (env.get("PATH") or _DEFAULT_PATH)
        env["VIRTUAL_ENV"] = laid["VIRTUAL_ENV"]
        return env

    # -- while the command runs -----------------------------------------------------------------------------------

    def _supervise(self, env: dict, log: logfile.CappedLog) -> None:
        process.adopt_orphans()  # should the keeper be killed, its tree becomes ours
        output, report = self._fork_keeper(env)
        masker = masking.Masker(self.job.secrets.values())
        began = time.monotonic()
        told = b""
        open_fds = [output, report]
        next_disk_look = began + (DISK_LOOK_S if self.job.quota_bytes else float("inf"))
        while open_fds:
            ready, _, _ = select.select(open_fds, [], [], TICK_S)
            for fd in ready:
                data = os.read(fd, _CHUNK)
                if not data:
                    open_fds.remove(fd)
                    if fd == report:
                        self._end_of_keeper(told)
                elif fd == output:
                    log.write(masker.feed(data))
                else:
                    told += data
            now = time.monotonic()
            if now >= next_disk_look:
                next_disk_look = self._look_at_disk(now)
            self._decide(now, began)
        log.write(masker.end())
        os.close(output)
        os.close(report)

    def _fork_keeper(self, env: dict) -> tuple:
        output, output_in = os.pipe()
        report, report_in = os.pipe()
        lifeline_out, self._lifeline = os.pipe()
        bash = shutil.which("bash", path=env["PATH"]) or "/bin/bash"
        limit = self.job.quota_bytes if self._can_limit() else 0
        self._keeper = os.fork()
        if self._keeper == 0:
            try:
                for fd in (output, report, self._lifeline):
                    os.close(fd)
                argv = self._argv(bash, env)
                keeper.Keeper(lifeline_out, report_in).keep(argv, self.code, env, output_in, limit)
            finally:
                os._exit(0)
        for fd in (output_in, report_in, lifeline_out):
            os.close(fd)
        return output, report

    def _argv(self, bash: str, env: dict) -> list:
        if not self.job.launcher:
            return [bash, "-c", self.job.command]
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "%s.py" % self.job.launcher["program"])
        return [os.path.join(env["VIRTUAL_ENV"], "bin", "python"), "-u", program, os.path.join(self.rundir, "job.json")]

    def _can_limit(self) -> bool:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        return hard in (resource.RLIM_INFINITY, -1) or self.job.quota_bytes <= hard

    def _end_of_keeper(self, told: bytes) -> None:
        for line in told.splitlines():
            self._report.update(json.loads(line.decode()))
        os.waitpid(self._keeper, 0)
        if "status" not in self._report and "error" not in self._report:
            self._report["error"] = "the process that keeps the command was killed"
            while process.descendants(os.getpid()):  # its tree is ours now
                process.signal_all(process.descendants(os.getpid()), signal.SIGKILL)
                time.sleep(0.02)

    def _look_at_disk(self, now: float) -> float:
        self._disk_bytes = self._usage()
        if self._disk_bytes > self.job.quota_bytes and not self._why:
            self._stop(DISK_QUOTA, now, grace_s=0)  # with more time it would only write more
        return now + max(DISK_LOOK_S, (time.monotonic() - now) / DISK_LOOK_SHARE)

    def _usage(self) -> int:
        return disk.usage([self.rundir] + [output["path"] for output in self.job.outputs.values()])

    def _decide(self, now: float, began: float) -> None:
        if "status" in self._report:
            return  # it has ended by itself: too late to stop it
        if self._why:
            if now >= self._kill_at:
                self._order(keeper.KILL)
                self._kill_at = now + 1.0
        elif self._cancel_wanted():
            self._stop(CANCELLED, now, self.job.grace_s)
        elif self._told_to_stop:
            self._stop(TERMINATED, now, self.job.grace_s)
        elif self.job.timeout_s and now - began >= self.job.timeout_s:
            self._stop(TIMEOUT, now, self.job.grace_s)

    def _stop(self, why: str, now: float, grace_s: float) -> None:
        self._why = why
        self._kill_at = now + grace_s
        self._order(keeper.TERMINATE if grace_s else keeper.KILL)

    def _order(self, order: bytes) -> None:
        with contextlib.suppress(OSError):  # the keeper has ended by itself in the meantime
            os.write(self._lifeline, order)

    def _cancel_wanted(self) -> bool:
        wanted = os.path.exists(os.path.join(self.rundir, "cancel"))
        if wanted and not self._keeper:
            self._why = CANCELLED
        return wanted

    def _on_sigterm(self, *_: object) -> None:
        self._told_to_stop = True

    # -- after the command ------------------------------------------------------------------------------------------

    def _write_exit(self, log: logfile.CappedLog | None) -> None:
        self._disk_bytes = self._usage()
        status = self._report.get("status", 0)
        exit_code = os.WEXITSTATUS(status) if "status" in self._report and os.WIFEXITED(status) else None
        number = os.WTERMSIG(status) if "status" in self._report and os.WIFSIGNALED(status) else None
        reason, message = self._judge(exit_code, number)
        body = {
            "exit_code": exit_code,
            "signal": number,
            "reason": reason,
            "message": message,
            "started_at": self._started_at,
            "ended_at": _now(),
            "max_rss": self._report.get("max_rss", 0),
            "cpu_seconds": round(self._report.get("cpu_seconds", 0.0), 3),
            "disk_bytes": self._disk_bytes,
            "log_bytes": log.written if log else 0,
            "log_dropped_bytes": log.dropped if log else 0,
            "outputs": {name: disk.inventory(output["path"]) for name, output in self.job.outputs.items()},
        }
        disk.write_json(os.path.join(self.rundir, "exit.json"), body)

    def _judge(self, exit_code: int | None, number: int | None) -> tuple:
        quota = self.job.quota_bytes
        if self._why in (CANCELLED, TERMINATED):
            return self._why, "stopped by a %s" % ("cancel" if self._why == CANCELLED else "SIGTERM to the runner")
        if self._why == TIMEOUT:
            return TIMEOUT, "stopped after its time limit of %g s" % self.job.timeout_s
        # A single file is stopped at the quota by the kernel, so the command may end by itself before we look.
        if self._why == DISK_QUOTA or number == signal.SIGXFSZ or (quota and self._disk_bytes >= quota):
            return DISK_QUOTA, "used %d bytes of disk, its quota is %d" % (self._disk_bytes, quota)
        if "error" in self._report:
            return SETUP if "pid" not in self._report else SIGNAL, self._report["error"]
        if number is not None:
            return SIGNAL, "killed by %s%s" % (_signal_name(number), _memory_hint(number))
        if exit_code:
            below = _signal_name(exit_code - 128) if 128 < exit_code < 160 else ""
            hint = (
                " (a process of the command was killed by %s%s)" % (below, _memory_hint(exit_code - 128))
                if below
                else ""
            )
            return EXIT_CODE, "exited with code %d%s" % (exit_code, hint)
        return COMPLETED, ""


def _make_writable(folder: str) -> None:
    """Snapshots are kept read-only; the copy belongs to the run."""
    for root, _, names in os.walk(folder):
        os.chmod(root, os.stat(root).st_mode | 0o700)
        for name in names:
            path = os.path.join(root, name)
            if not os.path.islink(path):
                os.chmod(path, os.stat(path).st_mode | 0o600)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal %d" % number


def _memory_hint(number: int) -> str:
    return ", often for lack of memory" if number == signal.SIGKILL else ""


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
