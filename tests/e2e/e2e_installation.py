"""A whole installation in a temporary home: the real program, its real processes, its command line, free ports."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import programs

ENDED = ("completed", "failed", "rejected", "expired", "cancelled", "superseded", "rolled_back")


def free_ports() -> tuple[int, int]:
    """Two ports that nobody listens on, for the API and the gateway."""
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


@dataclass(frozen=True)
class Done:
    """What a command answered; ``json`` is its standard output read."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Installation:
    """Call it like the command line: ``installation("job", "list", user="ada", workspace="dev")``.

    A command that ends otherwise than with ``code`` fails the test, with everything it printed.
    """

    home: Path
    port: int
    gateway_port: int
    environ: Mapping[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, *words: str | Path, stdin: str | None = None, cwd: Path | None = None, timeout: float = 900) -> Done:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("DOUBLELOOP_")}
        environ |= {"OMP_NUM_THREADS": "1", **self.environ, "DOUBLELOOP_HOME": str(self.home)}
        done = programs.run(
            tuple(map(str, words)), cwd=cwd or self.home.parent, env=environ, stdin=stdin or "", timeout=timeout
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def __call__(
        self, *words: str | Path, user: str = "admin", workspace: str | None = None, code: int = 0,
        stdin: str | None = None, cwd: Path | None = None, timeout: float = 900,
    ) -> Done:  # fmt: skip
        place = ("-w", workspace) if workspace else ()
        # Before anybody has logged in, the administrator of the first start is the current login and has no other.
        known = (self.home / "profiles" / f"{user}.json").exists() or user != "admin"
        acting = ("--user", user) if known else ()
        done = self.run(*words, *acting, *place, stdin=stdin, cwd=cwd, timeout=timeout)
        assert done.code == code, (
            f"doubleloop {' '.join(map(str, words))} ended with {done.code}\n{done.out}\n{done.err}\n{self.logs()}"
        )
        return done

    def timed(self, part: str, began: float) -> None:
        """Keep how long a part took, for the record that a test prints."""
        self.seconds[part] = round(time.monotonic() - began, 1)

    def up(self) -> Done:
        began = time.monotonic()
        place = ("--port", str(self.port), "--gateway-port", str(self.gateway_port))
        done = self.run("up", "--detach", *place, "-o", "json")
        assert done.code == 0, f"{done.err}\n{self.logs()}"
        self.timed("start", began)
        return done

    def down(self) -> Done:
        return self.run("down", "-o", "json")

    def logs(self, lines: int = 12) -> str:
        """The newest lines of every process's log."""
        parts = []
        for file in sorted((self.home / "logs").glob("*.log")):
            text = file.read_text(errors="replace").splitlines()[-lines:]
            parts.append(f"--- {file.name}\n" + "\n".join(text))
        return "\n".join(parts)

    def log_in(self, *users: str) -> None:
        """Give users a password and a login on this machine; the administrator's stays the current one."""
        for user in users:
            password = f"the long password of {user}\n"
            self("user", "set-password", "-n", user, "--password-stdin", stdin=password)
            done = self.run("login", "--user", user, "--password-stdin", stdin=password)
            assert done.code == 0, done.err

    def wait_for_release(self, definition: str, version: str, user: str, seconds: float = 60) -> str:
        """The id of the release that a registered version started."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for each in self("release", "list", "--definition", definition, "-o", "json", user=user).json:
                if each["trigger"].get("type") == "model.registered" and each["id"].endswith(f"-{version}"):
                    return str(each["id"])
            time.sleep(0.5)
        raise AssertionError(f"no release of {definition} was started for version {version}\n{self.logs()}")

    def follow_release(self, id_: str, user: str, until: tuple[str, ...], seconds: float = 600) -> dict[str, Any]:
        """The release once its status is one of ``until``; any other end fails the test."""
        deadline = time.monotonic() + seconds
        found: dict[str, Any] = {}
        while time.monotonic() < deadline:
            found = self("release", "show", id_, "-o", "json", user=user).json
            if found["status"] in until:
                return found
            assert found["status"] not in ENDED, f"{json.dumps(found, indent=2)}\n{self.logs()}"
            time.sleep(0.5)
        raise AssertionError(f"release {id_} is still {found.get('status')}\n{json.dumps(found, indent=2)}")


@contextmanager
def started(home: Path) -> Iterator[Installation]:
    """A fresh installation that runs until the block ends."""
    made = Installation(home, *free_ports())
    made.up()
    try:
        yield made
    finally:
        made.down()
