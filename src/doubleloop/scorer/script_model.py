"""A scoring script with ``init()`` and ``run()``, under the contract of Azure ML's inference server.

The code folder is the working directory and on ``sys.path``; ``AZUREML_MODEL_DIR`` is the parent of the model.
``run`` gets the raw JSON text, or, when decorated by ``inference_schema``, the fields of the JSON object.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import sys
from types import ModuleType
from typing import Any, Dict

MODULE = "entry_module"


class BadScript(Exception):
    """The scoring script does not keep the contract."""


class BadRequest(Exception):
    """The request does not fit what the script's ``run`` declares."""


class Reply:
    """What ``run`` answered through an AMLResponse: its own status and body."""

    def __init__(self, status: int, body: bytes, content_type: str) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type


class ScriptModel:
    flavor = "script"

    def __init__(self, spec: Dict[str, Any]) -> None:
        folder = spec["code_dir"]
        os.chdir(folder)
        sys.path.insert(0, folder)
        path = os.path.join(folder, spec["scoring_script"])
        if not os.path.isfile(path):
            raise BadScript("the scoring script %s does not exist" % path)
        script_folder = os.path.dirname(os.path.abspath(path))
        if script_folder != os.path.abspath(folder):
            sys.path.insert(1, script_folder)
        module = _load(path)
        for name in ("init", "run"):
            if not callable(getattr(module, name, None)):
                raise BadScript("%s does not define a function %s()" % (path, name))
        self._run = module.run
        self._read_parameters(path)
        module.init()

    def _read_parameters(self, path: str) -> None:
        for name in ("azureml_inference_server_http.api.aml_request", "azureml.contrib.services.aml_request"):
            if getattr(sys.modules.get(name), "_rawHttpRequested", False):
                raise BadScript("%s decorates run() with @rawhttp, which is not supported; take the JSON text" % path)
        parameters = list(inspect.signature(self._run).parameters.values())
        self._headers = any(parameter.name == "request_headers" for parameter in parameters)
        self._parameters = [parameter for parameter in parameters if parameter.name != "request_headers"]
        if not self._parameters:
            raise BadScript("run() in %s takes no argument for the request's data" % path)
        schema = sys.modules.get("inference_schema.schema_util")
        self._decorated = bool(schema is not None and schema.is_schema_decorated(self._run))

    def describe(self) -> Dict[str, Any]:
        return {
            "flavor": "script",
            "feature_names": None,
            "n_features": None,
            "signature": None,
            "decorated": self._decorated,
        }

    def predict(self, header: Dict[str, Any], body: bytes) -> Any:
        """Calls ``run``. Raises whatever it raises, and BadRequest when a declared field is missing."""
        text = body.decode("utf-8")
        arguments = self._fields(text) if self._decorated else {self._parameters[0].name: text}  # type: Dict[str, Any]
        if self._headers:
            arguments["request_headers"] = header.get("headers") or {}
        result = self._run(**arguments)
        if hasattr(result, "status_code") and hasattr(result, "get_data"):
            return Reply(int(result.status_code), result.get_data(), str(result.headers.get("Content-Type", "")))
        return result

    def _fields(self, text: str) -> Dict[str, Any]:
        value = json.loads(text)
        if not isinstance(value, dict):
            raise BadRequest("the body must be a JSON object with the fields of run()")
        fields = {}
        for parameter in self._parameters:
            if parameter.name not in value and parameter.default is inspect.Parameter.empty:
                raise BadRequest("a value is missing for the field '%s' of run()" % parameter.name)
            fields[parameter.name] = value.get(parameter.name, parameter.default)
        return fields


def _load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(MODULE, path)
    if spec is None or spec.loader is None:
        raise BadScript("%s is not a Python file" % path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    spec.loader.exec_module(module)
    return module
