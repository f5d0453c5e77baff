"""``doubleloop`` commands as processes of their own, forked from one that has imported what most of them import.

To start Python and to import takes most of what a command takes, and tests run hundreds. A forked command has its own
folder, environment, input, outputs and exit code; the imports of its noun are its own. What is said to Python by its
environment (encodings, time zone) is heard at its start alone: a command with another of these is started anew, as are
those that start an installation.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

PROGRAM = Path(sys.executable).with_name("doubleloop")
STARTED_ANEW = ("up", "demo", "down")
HEARD_AT_START = ("PYTHON", "LC_", "LANG", "TZ")
HEARD_AND_ALIKE = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE")  # to one whose outputs are two files
MESSAGE_BYTES = 1 << 20


def run(
    words: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: str = "", timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run the program and wait for its end. Raises TimeoutExpired."""
    if (words[:1] and words[0] in STARTED_ANEW) or _heard(env) != _heard(os.environ):
        return subprocess.run(
            [str(PROGRAM), *words], cwd=cwd, env=dict(env), input=stdin, capture_output=True, text=True,
            timeout=timeout, check=False,
        )  # fmt: skip
    with (
        tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door,
    ):  # fmt: skip
        given.write(stdin)
        given.seek(0)
        door.settimeout(timeout)
        door.connect(_starter())
        asked = json.dumps({"words": list(words), "cwd": str(cwd), "env": dict(env)}).encode()
        socket.send_fds(door, [asked], [each.fileno() for each in (given, out, err)])
        try:
            code = int(door.recv(100))
        except TimeoutError:
            raise subprocess.TimeoutExpired(list(words), timeout) from None
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(words), code, out.read(), err.read())


def _heard(env: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value for name, value in env.items()
        if name.startswith(HEARD_AT_START) and name not in HEARD_AND_ALIKE
    }  # fmt: skip


@cache
def _starter() -> str:
    """The address of this process's starter, which goes with it."""
    place = str(Path(tempfile.mkdtemp(prefix="dl-")) / "starter")
    running = subprocess.Popen([sys.executable, __file__, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    atexit.register(running.wait)
    atexit.register(lambda: running.stdin and running.stdin.close())
    assert running.stdout and running.stdout.readline() == b"ready\n"
    return place


def main(place: str) -> None:
    from doubleloop.cli import app, files, session  # noqa: F401  (what commands find imported)

    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(place)
        listener.listen(64)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        gc.freeze()
        print("ready", flush=True)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    _answer(connection)
    shutil.rmtree(Path(place).parent)


def _answer(connection: socket.socket) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    data, descriptors, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, 3)
    pid = os.fork()
    if pid == 0:
        _command(json.loads(data), descriptors)
    connection.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
    os._exit(0)


def _command(asked: dict[str, Any], descriptors: list[int]) -> NoReturn:
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    os.closerange(3, max(descriptors) + 1)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv = [str(PROGRAM), *asked["words"]]
    os._exit(_ended())


def _ended() -> int:
    """The exit code, when all is done that Python does at its end."""
    from doubleloop.cli import app

    code: Any = 1
    try:
        app.main()
    except SystemExit as ended:
        code = ended.code if ended.code is not None else 0
    except BaseException:
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]  # other threads come to their end first
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return int(code)


if __name__ == "__main__":
    main(sys.argv[1])
