"""Scripts that take the whole HTTP request (``@rawhttp``): its method, headers, files and bytes.

Azure ML's packages that hold ``AMLRequest`` and ``AMLResponse`` are thin classes over Flask's. Where the environment
has one of them it is used; where it has Flask alone, modules of the same names are offered to the script.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import sys
from types import ModuleType
from typing import Any, Dict, List, Optional

_REQUEST = ("azureml_inference_server_http.api.aml_request", "azureml.contrib.services.aml_request")
_RESPONSE = ("azureml_inference_server_http.api.aml_response", "azureml.contrib.services.aml_response")
_PACKAGES = (
    "azureml", "azureml.contrib", "azureml.contrib.services", "azureml_inference_server_http",
    "azureml_inference_server_http.api",
)  # fmt: skip


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Stands last on ``sys.meta_path``: asked only for what the environment does not have."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Optional[importlib.machinery.ModuleSpec]:
        if name in _PACKAGES:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        if name in _REQUEST + _RESPONSE and importlib.util.find_spec("flask") is not None:
            return importlib.machinery.ModuleSpec(name, self)
        return None

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        if name in _PACKAGES:
            module.__path__ = list(getattr(module, "__path__", []))
        elif name in _REQUEST:
            import flask

            module.__dict__.update(AMLRequest=flask.Request, _rawHttpRequested=False)
            module.__dict__["rawhttp"] = lambda function: module.__dict__.update(_rawHttpRequested=True) or function
        else:
            module.__dict__["AMLResponse"] = _response_class()


def offer() -> None:
    """Before the script is imported."""
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.append(Finder())


def wanted() -> bool:
    """Whether the script that was imported has decorated its ``run`` with ``@rawhttp``."""
    return any(getattr(sys.modules.get(name), "_rawHttpRequested", False) for name in _REQUEST)


def request(header: Dict[str, Any], body: bytes) -> Any:
    """The request as Flask's class, which ``AMLRequest`` is."""
    import flask
    from werkzeug.test import EnvironBuilder

    builder = EnvironBuilder(
        path=header.get("path") or "/score", method=header.get("method") or "POST", data=body,
        query_string=header.get("query") or "", headers=[tuple(each) for each in header.get("raw_headers") or []],
    )  # fmt: skip
    return flask.Request(builder.get_environ())


def headers(response: Any) -> List[List[str]]:
    """What the caller is to see of a response's headers; length and type have their own place."""
    left_out = ("content-length", "content-type", "connection", "transfer-encoding")
    return [[str(name), str(value)] for name, value in response.headers.items() if name.lower() not in left_out]


def _response_class() -> Any:
    import flask

    class AMLResponse(flask.Response):
        def __init__(
            self, message: Any, status_code: int, response_headers: Optional[Dict[str, str]] = None,
            json_str: bool = False, run_function_failed: bool = False,
        ) -> None:  # fmt: skip
            if message is None or json_str:
                text = json.dumps({} if message is None else message)
                super().__init__(text, status=status_code, mimetype="application/json")
            else:
                super().__init__(message, status=status_code)
            self.headers["x-ms-run-function-failed"] = str(run_function_failed)
            for name, value in (response_headers or {}).items():
                if name.lower() == "content-type":
                    self.headers["Content-Type"] = value
                    continue
                for part in str(value).split(","):
                    self.headers.add(name, part.strip())

    return AMLResponse
