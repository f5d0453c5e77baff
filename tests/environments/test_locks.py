"""A spec becomes one lock, always the same; what cannot be had is told with the line that asked for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from doubleloop.base import errors
from doubleloop.environments import conda, installer, interpreters, locks, model

Resolve = Callable[..., model.Lock]


@pytest.fixture
def resolve(tmp_path: Path, index: Any) -> Resolve:
    def run(text: str, cache: str = "locks", **more: Any) -> model.Lock:
        spec = conda.parse(text, "env/conda.yml", conda.beside(tmp_path))
        return locks.resolve(spec, tmp_path / cache, uv_cache=tmp_path / "uv", **more)

    return run


def test_every_package_is_pinned_with_what_it_needs_and_what_conda_always_brings(
    resolve: Resolve, index: Any, conda_file: Callable[..., str]
) -> None:
    index.add("alpha", "1.0", needs=("beta>=1",))
    index.add("alpha", "1.1", needs=("beta>=1",))
    index.add("beta", "3.0")
    lock = resolve(conda_file("alpha<1.1"))
    assert lock.python == "3.11"
    assert lock.requirements == ("alpha==1.0", "beta==3.0", "pip==25.0", "setuptools==80.9.0")
    assert (lock.version("Beta"), lock.version("gamma")) == ("3.0", None)


def test_the_second_time_needs_no_network_and_newer_releases_change_nothing(
    resolve: Resolve, index: Any, conda_file: Callable[..., str]
) -> None:
    index.add("alpha", "1.0")
    first = resolve(conda_file("alpha"))
    index.add("alpha", "2.0")
    index.asked.clear()
    assert resolve(conda_file("alpha")) == first
    assert resolve("# moved down\n" + conda_file("alpha")).digest == first.digest
    assert index.asked == []
    assert resolve(conda_file("alpha", ""), cache="other").version("alpha") == "2.0"


def test_a_remembered_lock_that_is_damaged_is_asked_for_again(
    resolve: Resolve, index: Any, conda_file: Callable[..., str], tmp_path: Path
) -> None:
    index.add("alpha", "1.0")
    first = resolve(conda_file("alpha"))
    (file,) = (tmp_path / "locks").glob("*.json")
    body = json.loads(file.read_text())
    file.write_text(json.dumps({**body, "requirements": ["evil==1.0"]}))
    assert resolve(conda_file("alpha")) == first
    file.write_text('{"python"')
    assert resolve(conda_file("alpha")) == first


def test_the_digest_is_the_content(resolve: Resolve, index: Any, conda_file: Callable[..., str]) -> None:
    index.add("alpha", "1.0")
    index.add("beta", "1.0")
    both = resolve(conda_file("alpha", "beta"))
    assert resolve(conda_file("beta", "alpha==1.0"), cache="other").digest == both.digest
    assert resolve(conda_file("alpha")).digest != both.digest
    assert model.Lock.from_dict(json.loads(json.dumps(both.to_dict()))) == both
    others = [python for python in interpreters.present() if python.minor != "3.11"]
    for python in others[:1]:
        assert resolve(conda_file("alpha", "beta", python=python.minor)).digest != both.digest


def test_what_was_asked_for_wins_over_what_conda_always_brings(
    resolve: Resolve, index: Any, conda_file: Callable[..., str]
) -> None:
    index.add("modern", "1.0", needs=("setuptools>=82",))
    assert resolve(conda_file("setuptools==82.0.0")).version("setuptools") == "82.0.0"
    assert resolve(conda_file("modern")).version("setuptools") == "82.0.0"


def test_a_numpy_is_chosen_that_the_others_were_built_for(
    resolve: Resolve, index: Any, conda_file: Callable[..., str]
) -> None:
    for numpy in ("1.26.4", "2.2.6"):
        index.add("numpy", numpy)
    for version in ("2.0.3", "2.2.3"):
        index.add("pandas", version, needs=("numpy>=1.20",))
    pins = [
        {pin for pin in resolve(conda_file(*lines)).requirements if pin.startswith(("numpy", "pandas"))}
        for lines in (("pandas==2.0.3",), ("pandas==2.2.3",), ("pandas==2.0.3", "numpy==2.2.6"))
    ]
    assert pins == [
        {"pandas==2.0.3", "numpy==1.26.4"}, {"pandas==2.2.3", "numpy==2.2.6"},
        {"pandas==2.0.3", "numpy==2.2.6"},
    ]  # fmt: skip


def test_constraints_hold(resolve: Resolve, index: Any, tmp_path: Path) -> None:
    index.add("alpha", "1.0", needs=("beta",))
    index.add("beta", "1.0")
    index.add("beta", "2.0")
    (tmp_path / "limits.txt").write_text("beta<2\n")
    lock = resolve("dependencies: [python=3.11, {pip: [-c limits.txt, alpha]}]")
    assert lock.version("beta") == "1.0"


@pytest.mark.parametrize(
    ("lines", "line", "said"),
    [
        (("alpha", "nowhere==1.0"), 5, "nowhere was not found in the package registry"),
        (("alpha==9",), 4, "no version of alpha==9"),
        (("beta==1.0", "alpha==1.0"), 5, "incompatible"),
        (("alpha", "modern==1.0"), 5, "requires Python"),
        (("alpha", "be ta==1"), 5, "be ta==1"),
        (("alpha", "beta=1"), 5, "beta=1"),
    ],
)
def test_what_cannot_be_had_quotes_uv_and_names_the_line(
    resolve: Resolve, index: Any, conda_file: Callable[..., str], lines: tuple[str, ...], line: int, said: str
) -> None:
    index.add("alpha", "1.0", needs=("beta>=2",))
    index.add("beta", "1.0")
    index.add("beta", "2.0")
    index.add("modern", "1.0", python=">=3.99")
    with pytest.raises(errors.InvalidInput) as caught:
        resolve(conda_file(*lines))
    assert said in caught.value.what
    assert caught.value.where == errors.Where("env/conda.yml", line)


def test_an_index_that_does_not_answer_is_not_the_users_mistake(
    resolve: Resolve, index: Any, conda_file: Callable[..., str]
) -> None:
    index.stop()
    with pytest.raises(errors.Unavailable, match="does not answer"):
        resolve(conda_file("alpha"))


def test_an_index_of_the_file_is_asked_too_and_kept_in_the_lock(
    resolve: Resolve, index: Any, another_index: Any, conda_file: Callable[..., str]
) -> None:
    index.add("alpha", "1.0")
    another_index.add("alpha", "1.1")
    another_index.add("alpha", "0.9")
    lock = resolve(conda_file(f"--extra-index-url {another_index.url}", "alpha"))
    assert lock.options == (f"--extra-index-url {another_index.url}",)
    assert lock.version("alpha") == "1.1"
    index.add("alpha", "1.2")
    again = resolve(conda_file(f"--extra-index-url {another_index.url}", "alpha>0"))
    assert again.version("alpha") == "1.2"  # as pip: the best over all indexes


def test_hosts_of_the_machines_own_indexes_are_not_in_the_lock(
    resolve: Resolve, index: Any, conda_file: Callable[..., str]
) -> None:
    index.add("alpha", "1.0")
    assert "127.0.0.1" not in json.dumps(resolve(conda_file("alpha")).to_dict())


def test_a_python_that_is_not_there_names_those_that_are(resolve: Resolve, conda_file: Callable[..., str]) -> None:
    with pytest.raises(errors.Unavailable, match=r"env/conda.yml:2: Python 3.99 .*present: .*3.11"):
        resolve(conda_file("alpha", python="3.99"))


def test_uv_and_the_builds_it_starts_do_not_see_our_secrets(
    resolve: Resolve, index: Any, conda_file: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOUBLELOOP_DATABASE_URL", "postgresql://user:pw@host/db")
    assert "DOUBLELOOP_DATABASE_URL" not in installer.environ()
    assert "PATH" in installer.environ()


def test_torch_is_the_build_for_this_machine_unless_indexes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*installer._INDEXES, "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    assert installer.environ()["UV_TORCH_BACKEND"] == "auto"
    monkeypatch.setenv("UV_FIND_LINKS", "/wheels")
    assert "UV_TORCH_BACKEND" not in installer.environ()


def test_wheels_where_pip_is_told_to_look_are_found(
    resolve: Resolve, index: Any, conda_file: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add("alpha", "1.0")
    place = tmp_path / "wheels"
    place.mkdir()
    (wheel,) = index.folder.glob("alpha-*.whl")
    wheel.rename(place / wheel.name)
    monkeypatch.delenv("UV_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_FIND_LINKS", f"/not/there  {place}")
    assert resolve(conda_file("alpha")).version("alpha") == "1.0"
    monkeypatch.setenv("UV_FIND_LINKS", "https://wheels.example/")
    assert installer.environ()["UV_FIND_LINKS"] == "https://wheels.example/"


def test_every_interpreter_that_is_found_is_what_it_says() -> None:
    import subprocess

    found = interpreters.present()
    assert "3.11" in {python.minor for python in found}
    for python in found:
        told = subprocess.run([str(python.path), "-V"], capture_output=True, text=True, check=True).stdout
        assert told.strip() == f"Python {python.version}"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sklearn-1.5", "lightgbm-3.3"])
def test_curated_environments_resolve_on_the_real_index(name: str, tmp_path: Path) -> None:
    from doubleloop.environments import curated

    spec = curated.CATALOGUE[name].spec
    if spec.python not in {python.minor for python in interpreters.present()}:
        pytest.skip(f"no Python {spec.python} here")
    lock = locks.resolve(spec, tmp_path)
    assert (lock.version("scikit-learn") or "").startswith("1.5.")
    assert lock.version("pandas") == "1.5.3"
