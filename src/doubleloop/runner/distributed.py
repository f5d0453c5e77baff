"""One command as several processes that know of each other: PyTorch, MPI, TensorFlow, Ray.

Started by the supervisor in place of the command: ``python distributed.py <run dir>/job.json``. All machines that the
job asks for are this one. The processes end as a group: when one fails, the others are stopped. What each prints goes
to the log under its name, and to a file of its own in ``./logs``.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

HOST = "127.0.0.1"
GRACE_S = 5.0
_TICK_S = 0.1
_CHUNK = 64 * 1024


def main(argv: list) -> int:
    with open(argv[1], encoding="utf-8") as file:
        body = json.load(file)
    launcher, command = body["launcher"], body["command"]
    if launcher["kind"] == "ray":
        return _with_ray(launcher, command)
    return Group([(name, [_bash(), "-c", command], env) for name, env in members(launcher)]).run()


def _bash() -> str:
    return shutil.which("bash") or "/bin/bash"


# -- who there is ------------------------------------------------------------------------------------------------------


def members(launcher: dict) -> list:
    """``(name, variables)`` of each process, in the order of their ranks."""
    return {"pytorch": _ranks, "mpi": _mpi, "tensorflow": _tensorflow}[launcher["kind"]](launcher)


def _ranks(launcher: dict) -> list:
    nodes, each = int(launcher["nodes"]), int(launcher["processes"])
    port = str(free_ports(1)[0])
    found = []
    for rank in range(nodes * each):
        node, local = divmod(rank, each)
        env = {
            "RANK": rank, "WORLD_SIZE": nodes * each, "LOCAL_RANK": local, "LOCAL_WORLD_SIZE": each, "NODE_RANK": node,
            "GROUP_RANK": node, "MASTER_ADDR": HOST, "MASTER_PORT": port,
        }  # fmt: skip
        found.append(("rank %d" % rank, _texts(env)))
    return found


def _mpi(launcher: dict) -> list:
    """The variables that Open MPI sets, beside those that PyTorch reads."""
    found = []
    for name, env in _ranks(launcher):
        size, local = env["WORLD_SIZE"], env["LOCAL_WORLD_SIZE"]
        open_mpi = {
            "OMPI_COMM_WORLD_RANK": env["RANK"], "OMPI_COMM_WORLD_SIZE": size,
            "OMPI_COMM_WORLD_LOCAL_RANK": env["LOCAL_RANK"], "OMPI_COMM_WORLD_LOCAL_SIZE": local,
            "OMPI_COMM_WORLD_NODE_RANK": env["LOCAL_RANK"], "OMPI_UNIVERSE_SIZE": size,
            "AZ_BATCH_MASTER_NODE": "%s:%s" % (env["MASTER_ADDR"], env["MASTER_PORT"]),
        }  # fmt: skip
        found.append((name, {**env, **open_mpi}))
    return found


def _tensorflow(launcher: dict) -> list:
    workers, servers = int(launcher["workers"]), int(launcher["servers"])
    addresses = ["%s:%d" % (HOST, port) for port in free_ports(workers + servers)]
    cluster = {"worker": addresses[:workers]}
    if servers:
        cluster["ps"] = addresses[workers:]
    found = []
    for kind, count in (("worker", workers), ("ps", servers)):
        for index in range(count):
            config = {"cluster": cluster, "task": {"type": kind, "index": index}, "environment": "cloud"}
            found.append(("%s %d" % (kind, index), {"TF_CONFIG": json.dumps(config)}))
    return found


def _texts(env: dict) -> dict:
    return {name: str(value) for name, value in env.items()}


def free_ports(count: int) -> list:
    """Ports nobody listens on; all are held while they are chosen, so that they differ."""
    held = []
    try:
        for _ in range(count):
            place = socket.socket()
            place.bind((HOST, 0))
            held.append(place)
        return [place.getsockname()[1] for place in held]
    finally:
        for place in held:
            place.close()


# -- running them ------------------------------------------------------------------------------------------------------


class Group:
    """Processes that live and die together. Parameter servers (``ps``) never end by themselves: the workers' end is
    theirs."""

    def __init__(self, wanted: list) -> None:
        self._wanted = wanted
        self._running: dict = {}
        self._failed = 0
        self._told_to_stop = False
        self._kill_at = 0.0
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """The exit code: 0 when all did well, else that of the first that did not."""
        signal.signal(signal.SIGTERM, self._on_sigterm)
        for name, argv, env in self._wanted:
            self._start(name, argv, env)
        while self._running:
            for key, _ in self._selector.select(_TICK_S):
                self._pump(key.data)
            self._look()
        return self._failed or (128 + signal.SIGTERM if self._told_to_stop else 0)

    def _start(self, name: str, argv: list, env: dict) -> None:
        process = subprocess.Popen(
            argv, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        member = _Member(name, process)
        self._running[name] = member
        self._selector.register(member.output, selectors.EVENT_READ, member)

    def _pump(self, member: _Member) -> None:
        data = os.read(member.output.fileno(), _CHUNK)
        member.feed(data)
        if not data:
            self._selector.unregister(member.output)
            member.output.close()

    def _look(self) -> None:
        for name, member in list(self._running.items()):
            code = member.process.poll()
            if code is None or not member.output.closed:
                if code is not None:
                    _signal_all([member], signal.SIGKILL)  # what it left behind still holds its output open
                continue
            member.end()
            del self._running[name]
            if code and not self._failed and not self._kill_at:
                self._failed = code if code > 0 else 128 - code
                self._stop("%s ended with code %d; the others are stopped" % (name, self._failed))
        left = [name for name in self._running if not name.startswith("ps ")]
        if self._running and not left and not self._kill_at:
            self._stop("all workers have ended; the parameter servers are stopped")
        if self._kill_at and time.monotonic() >= self._kill_at:
            _signal_all(self._running.values(), signal.SIGKILL)

    def _stop(self, why: str) -> None:
        if self._running:
            _say(why)
        self._kill_at = time.monotonic() + GRACE_S
        _signal_all(self._running.values(), signal.SIGTERM)

    def _on_sigterm(self, *_: object) -> None:
        self._told_to_stop = True
        self._kill_at = time.monotonic() + GRACE_S
        _signal_all(self._running.values(), signal.SIGTERM)


class _Member:
    """A process, the line it has begun, and its own log."""

    def __init__(self, name: str, process: subprocess.Popen) -> None:
        self.name = name
        self.process = process
        assert process.stdout is not None
        self.output = process.stdout
        self._rest = b""
        kind, _, number = name.partition(" ")
        file = "std_log_process_%03d.txt" if kind == "rank" else "std_log_%s_%%03d.txt" % kind
        self._file = None
        with contextlib.suppress(OSError):  # the command's own folder may be gone, or full
            self._file = open(os.path.join("logs", file % int(number)), "wb", 0)  # noqa: SIM115

    def feed(self, data: bytes) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.write(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._print(line)

    def end(self) -> None:
        if self._rest:
            self._print(self._rest)
            self._rest = b""
        if self._file is not None:
            self._file.close()

    def _print(self, line: bytes) -> None:
        os.write(1, b"[%s] %s\n" % (self.name.encode(), line))


def _signal_all(members: object, number: int) -> None:
    for member in list(members):  # type: ignore[call-overload]
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(member.process.pid, number)


def _say(text: str) -> None:
    os.write(1, ("[doubleloop] %s\n" % text).encode())


# -- Ray ---------------------------------------------------------------------------------------------------------------


def _with_ray(launcher: dict, command: str) -> int:
    """Start a cluster of the job's own (unless it names one), run the command at its head, stop the cluster."""
    ray = shutil.which("ray")
    if ray is None:
        _say("ray is not in the step's environment: add 'ray' to its conda file")
        return 69
    address = launcher["address"]
    if not address:
        address = "%s:%d" % (HOST, launcher["port"] or free_ports(1)[0])
        code = _start_ray(ray, launcher, address)
        if code:
            return code
    env = {"RAY_ADDRESS": address, "RANK": "0", "NODE_RANK": "0"}
    try:
        return Group([("rank 0", [_bash(), "-c", command], env)]).run()
    finally:
        if not launcher["address"]:
            subprocess.call([ray, "stop", "--force"], stdin=subprocess.DEVNULL)


def _start_ray(ray: str, launcher: dict, address: str) -> int:
    port = address.rpartition(":")[2]
    head = [ray, "start", "--head", "--node-ip-address", HOST, "--port", port, "--disable-usage-stats"]
    head += ["--include-dashboard", "true" if launcher["dashboard"] else "false"]
    if launcher["dashboard_port"]:
        head += ["--dashboard-port", str(launcher["dashboard_port"])]
    code = subprocess.call([*head, *shlex.split(launcher["head_arguments"])], stdin=subprocess.DEVNULL)
    for _ in range(int(launcher["nodes"]) - 1):
        node = [ray, "start", "--address", address, "--node-ip-address", HOST, "--disable-usage-stats"]
        code = code or subprocess.call([*node, *shlex.split(launcher["worker_arguments"])], stdin=subprocess.DEVNULL)
    if code:
        _say("ray could not be started: code %d" % code)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv))
