"""No name that is allowed leads out of the libraries it is allowed for: tried on the libraries installed here."""

from __future__ import annotations

import importlib
import pkgutil
import types
import warnings

import pytest

from doubleloop.quarantine import allowlist
from doubleloop.quarantine.model import Policy, Severity

# Where the objects behind allowed names may come from; and what the libraries borrow that only stores or computes.
HOMES = frozenset({
    "sklearn", "numpy", "scipy", "pandas", "pyarrow", "statsmodels", "typing", "numbers", "enum", "abc", "collections",
    "datetime", "decimal", "fractions", "builtins", "dataclasses", "itertools", "zoneinfo", "contextvars", "dateutil",
    "narwhals", "functools", "types", "_propack", "_thread", "re", "_strptime", "_cyutility",
    "View",
})  # fmt: skip


def modules_of(package: str):
    root = importlib.import_module(package)
    yield root
    for info in pkgutil.walk_packages(root.__path__, package + ".", onerror=lambda name: None):
        if any(part in info.name for part in ("tests", "conftest", "_build", "setup", "_arpack")):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield importlib.import_module(info.name)
            except Exception:
                continue


@pytest.mark.slow
@pytest.mark.parametrize("package", ["sklearn", "pandas.core", "pandas._libs", "scipy.sparse", "scipy.interpolate",
                                     "scipy.optimize", "numpy.polynomial"])  # fmt: skip
def test_allowed_names_are_things_of_the_library_itself(package):
    outside = {}
    for module in modules_of(package):
        for name, value in vars(module).items():
            if allowlist.judge(module.__name__, name, Policy()) is None:
                home = getattr(value, "__module__", None) or type(value).__module__
                if isinstance(value, types.ModuleType) or home.split(".")[0] not in HOMES:
                    outside[f"{module.__name__}.{name}"] = home
    outside.pop("pandas._libs.tslibs.timedeltas.Components", None)  # a named tuple that forgot where it was made
    assert outside == {}


@pytest.mark.parametrize("name", ["eval", "exec", "compile", "open", "__import__", "input", "breakpoint", "globals",
                                  "vars", "setattr", "delattr", "map", "filter", "super", "memoryview"])  # fmt: skip
def test_builtins_that_do_things_are_dangerous(name):
    assert allowlist.judge("builtins", name, Policy()).severity is Severity.HIGH


def test_an_unknown_name_is_denied_and_a_class_of_the_script_says_where_it_is():
    assert allowlist.judge("mypackage", "Thing", Policy()).severity is Severity.MEDIUM
    assert "script" in allowlist.judge("__main__", "Thing", Policy()).why


def test_names_of_python_2_are_only_translated_below_protocol_3():
    assert allowlist.real_name("__builtin__", "set", 2) == ("builtins", "set")
    assert allowlist.real_name("__builtin__", "set", 4) == ("__builtin__", "set")
    assert allowlist.judge("__builtin__", "eval", Policy()) is not None
