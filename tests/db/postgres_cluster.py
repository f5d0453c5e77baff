"""A Postgres of a test's own: in a temporary folder, on a socket in it and on no port."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa


def _programs() -> Path | None:
    found = shutil.which("initdb")
    known = [Path(found)] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return known[-1].parent if known else None


PROGRAMS = _programs()
needed = pytest.mark.skipif(PROGRAMS is None, reason="no Postgres on this machine (apt-get install postgresql)")


class Cluster:
    """``url``: of its database ``postgres``."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._data = folder, str(folder / "data")
        # Postgres does not run as root.
        self._owner = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            shutil.chown(folder, self._owner)
        self.url = f"postgresql+psycopg://dl@/postgres?host={folder}"
        self._run("initdb", "-D", self._data, "-U", "dl", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def start(self) -> None:
        options = f"-c listen_addresses='' -k {self._folder} -c fsync=off -c max_connections=60"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", str(self._folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """At once, as if the machine had lost power."""
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")

    def create(self, name: str) -> str:
        """The URL of a new database."""
        with sa.create_engine(self.url, isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql(f"create database {name}")
        return self.url.replace("/postgres?", f"/{name}?")

    def _run(self, program: str, *words: str) -> None:
        assert PROGRAMS is not None
        told = {"user": self._owner} if os.geteuid() == 0 else {}
        done = subprocess.run(  # type: ignore[call-overload]
            [str(PROGRAMS / program), *words], cwd=self._folder, capture_output=True, text=True, **told
        )
        assert done.returncode == 0, (program, words, done.stdout, done.stderr)


@contextmanager
def running() -> Iterator[Cluster]:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    folder = Path(tempfile.mkdtemp(prefix="dl-pg-"))
    try:
        cluster = Cluster(folder)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
