"""An environment is built once per lock, whoever asks at the same time and however a build was cut off."""

from __future__ import annotations

import hashlib
import json
import marshal
import os
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import pytest

from doubleloop.base import errors
from doubleloop.compute import local
from doubleloop.compute import model as compute
from doubleloop.environments import builder, conda, interpreters, locks, model
from doubleloop.settings import model as settings

MINOR = "{}.{}".format(*sys.version_info[:2])


@pytest.fixture
def lock(index: Any) -> model.Lock:
    index.add("alpha", "1.0", modules=("alphas/tested", "alphas/tests/test_alphas", "alphas/broken!"))
    return model.Lock(MINOR, ("alpha==1.0", "pip==25.0", "setuptools==80.9.0"), "linux-x86_64")


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., model.Built]:
    def run(lock: model.Lock, progress: Any = lambda line: None) -> model.Built:
        return builder.build(lock, tmp_path / "home", progress, uv_cache=tmp_path / "uv")

    return run


def python(built: model.Built, code: str) -> str:
    return subprocess.run([str(built.python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_the_environment_has_the_packages_and_the_python_of_its_lock(build: Any, lock: model.Lock) -> None:
    said: list[str] = []
    built = build(lock, said.append)
    (packages,) = built.path.glob("lib/python*/site-packages")
    compiled = {file.relative_to(packages).parent.parent / file.name.split(".")[0] for file in packages.rglob("*.pyc")}
    assert {Path("alpha"), Path("alphas/tested")} <= compiled, "its packages are not compiled"
    assert not any("tests" in file.parts for file in compiled)
    assert python(built, "import alpha, sys; print(alpha.VERSION, *sys.version_info[:2])") == "1.0 " + MINOR.replace(
        ".", " "
    )
    assert built.path.name == lock.digest
    assert any("alpha==1.0" in line for line in said)


def test_a_source_is_compiled_once_whatever_environment_it_lies_in(
    build: Any, lock: model.Lock, tmp_path: Path
) -> None:
    """Told by planting other code in the place of what was kept: the next environment runs it, unless it is damaged."""
    first = build(lock)
    (source,) = first.path.glob("lib/python*/site-packages/alpha.py")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    (kept,) = (tmp_path / "uv" / "doubleloop-bytecode").rglob(digest)
    planted = marshal.dumps(compile("VERSION = 'planted'", "", "exec"))
    look = "import alpha; print(alpha.VERSION, alpha.__spec__.loader.get_code('alpha').co_filename)"
    for number, (data, version) in enumerate([
        (struct.pack("<I", zlib.crc32(planted)) + planted, "planted"),
        (struct.pack("<I", zlib.crc32(planted)) + planted[:-1], "1.0"),
        (b"", "1.0"),
    ]):  # fmt: skip
        kept.write_bytes(data)
        other = build(model.Lock(lock.python, lock.requirements[: number + 1], f"{lock.platform}-{number}"))
        (place,) = other.path.glob("lib/python*/site-packages/alpha.py")
        assert python(other, look) == f"{version} {place}"
        assert kept.read_bytes() != b"", "it is not kept anew"
    # Who changes a source has Python compile it again.
    place.write_text("VERSION = 'changed by hand'\n")
    assert python(other, look).startswith("changed by hand ")


def test_the_second_time_nothing_is_built_or_fetched(build: Any, lock: model.Lock, index: Any) -> None:
    first = build(lock)
    index.stop()
    again = build(lock)
    assert again.reused and (again.python, again.path) == (first.python, first.path)


def test_two_builders_at_once_build_once(lock: model.Lock, tmp_path: Path) -> None:
    script = f"""
import json, pathlib, sys
from doubleloop.environments import builder, model
lock = model.Lock.from_dict(json.loads(sys.argv[1]))
built = builder.build(lock, pathlib.Path({str(tmp_path / "home")!r}), uv_cache=pathlib.Path({str(tmp_path / "uv")!r}))
print(built.reused)
"""
    argv = [sys.executable, "-c", script, json.dumps(lock.to_dict())]
    with futures.ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(subprocess.check_output, argv, text=True) for _ in range(4)]
    assert sorted(run.result().strip() for run in runs) == ["False", "True", "True", "True"]


@pytest.fixture
def cut_off(lock: model.Lock, index: Any, tmp_path: Path) -> Iterator[Path]:
    """A builder that was killed with -9 in the middle of a download; its uv lives on. Gives the half-built folder."""
    index.hold()
    script = f"""
import json, pathlib, sys
from doubleloop.environments import builder, model
lock = model.Lock.from_dict(json.loads(sys.argv[1]))
builder.build(lock, pathlib.Path({str(tmp_path / "home")!r}), uv_cache=pathlib.Path({str(tmp_path / "uv")!r}))
"""
    running = subprocess.Popen([sys.executable, "-c", script, json.dumps(lock.to_dict())])
    assert index.waiting.wait(60)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    path = tmp_path / "home" / "environments" / lock.digest
    assert path.exists()
    yield path
    index.released.set()


def test_after_a_killed_builder_the_next_one_waits_for_its_installer_and_starts_over(
    cut_off: Path, build: Any, lock: model.Lock, index: Any
) -> None:
    said: list[str] = []

    def progress(line: str) -> None:
        said.append(line)
        if "waiting" in line:
            index.released.set()

    (cut_off / "left-over").touch()
    built = build(lock, progress)
    assert said[0] == "waiting for another build of this environment"
    assert not built.reused and not (cut_off / "left-over").exists()
    assert python(built, "import alpha; print(alpha.VERSION)") == "1.0"


def test_half_built_environments_are_cleaned_away_and_nothing_else(
    cut_off: Path, build: Any, lock: model.Lock, index: Any, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    (home / "environments" / "locks").mkdir()
    assert builder.clean(home) == []  # somebody is still at it: the orphaned uv
    index.released.set()
    subprocess.run(["flock", f"{cut_off}.lock", "true"], check=True, timeout=60)
    assert builder.clean(home) == [lock.digest]
    assert not cut_off.exists() and (home / "environments" / "locks").exists()
    build(lock)
    assert builder.clean(home) == []


def test_an_environment_whose_python_went_away_is_built_again(build: Any, lock: model.Lock) -> None:
    built = build(lock)
    os.unlink(built.python)
    os.symlink("/nowhere/python", built.python)
    again = build(lock)
    assert not again.reused and python(again, "print(1)") == "1"


def test_a_removed_environment_is_gone_and_can_be_built_again(build: Any, lock: model.Lock, tmp_path: Path) -> None:
    built = build(lock)
    builder.remove(lock.digest, tmp_path / "home")
    assert not built.path.exists()
    assert not build(lock).reused


def test_a_package_that_cannot_be_installed_is_told_and_leaves_no_environment(build: Any, lock: model.Lock) -> None:
    wrong = model.Lock(lock.python, ("nowhere==1.0",), lock.platform)
    with pytest.raises(errors.Failed, match="nowhere"):
        build(wrong)
    with pytest.raises(errors.Failed):
        build(wrong)


def test_an_index_that_does_not_answer_can_be_tried_again(build: Any, lock: model.Lock, index: Any) -> None:
    index.stop()
    with pytest.raises(errors.Unavailable, match="does not answer"):
        build(lock)


def test_a_python_that_is_not_there_is_told(build: Any) -> None:
    with pytest.raises(errors.Unavailable, match="present"):
        build(model.Lock("3.99", (), "linux-x86_64"))


@pytest.mark.slow
def test_from_conda_file_to_a_job_that_installs_more_on_the_real_index(tmp_path: Path) -> None:
    """Two old and new Pythons side by side, real packages, and ``pip install`` inside the job."""
    minors = [python.minor for python in interpreters.present()]
    machine = local.LocalCompute(tmp_path)
    for minor in {minors[0], minors[-1]}:
        text = f"dependencies: [python={minor}, pip=21.2.4, six=1.15, {{pip: [tomli==1.2.3]}}]"
        lock = locks.resolve(conda.parse(text, "c.yml"), tmp_path / "locks")
        assert (lock.version("six"), lock.version("tomli")) == ("1.15.0", "1.2.3")
        built = builder.build(lock, tmp_path)
        command = (
            "python -c 'import six, tomli; print(six.__version__)'; pip install -q six==1.16.0 && "
            "python -c 'import six; print(six.__version__)'"
        )
        env = {name: os.environ[name] for name in settings.NETWORK_VARIABLES if name in os.environ}
        machine.start(compute.StepRun(f"r{minor}", command, built.python, env=env))
        status = machine.wait(f"r{minor}", 120)
        log = machine.logs(f"r{minor}").decode()
        assert status.state == compute.State.SUCCEEDED, log
        assert log.splitlines()[0] == "1.15.0" and "1.16.0" in log.splitlines()
        assert python(built, "import six; print(six.__version__)") == "1.15.0"
