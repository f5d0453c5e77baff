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
from typing import Any, Dict, List, Optional

from . import raw_http

MODULE = "entry_module"


class BadScript(Exception):
    """The scoring script does not keep the contract."""


class BadRequest(Exception):
    """The request does not fit what the script's ``run`` declares."""


class Reply:
    """What ``run`` answered through an AMLResponse: its own status, body and headers."""

    def __init__(self, status: int, body: bytes, content_type: str, headers: List[List[str]]) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers


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
        raw_http.offer()
        module = _load(path)
        for name in ("init", "run"):
            if not callable(getattr(module, name, None)):
                raise BadScript("%s does not define a function %s()" % (path, name))
        self._run = module.run
        self._read_parameters(path)
        self._swagger = _swagger(folder, script_folder)
        module.init()

    def _read_parameters(self, path: str) -> None:
        self._raw = raw_http.wanted()
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
            "raw": self._raw,
            "openapi": self._swagger or self._schemas(),
        }

    def predict(self, header: Dict[str, Any], body: bytes) -> Any:
        """Calls ``run``. Raises whatever it raises, and BadRequest when a declared field is missing."""
        if self._raw:
            return self._reply(self._run(raw_http.request(header, body)))
        text = body.decode("utf-8")
        arguments = self._fields(text) if self._decorated else {self._parameters[0].name: text}  # type: Dict[str, Any]
        if self._headers:
            arguments["request_headers"] = header.get("headers") or {}
        return self._reply(self._run(**arguments))

    def _reply(self, result: Any) -> Any:
        if hasattr(result, "status_code") and hasattr(result, "get_data"):
            kind = str(result.headers.get("Content-Type", ""))
            return Reply(int(result.status_code), result.get_data(), kind, raw_http.headers(result))
        return result

    def _schemas(self) -> Optional[Dict[str, Any]]:
        """What ``inference_schema`` decorators say of input and output, as parts of an OpenAPI document."""
        if not self._decorated:
            return None
        util = sys.modules["inference_schema.schema_util"]
        try:
            return {"input": util.get_input_schema(self._run), "output": util.get_output_schema(self._run)}
        except Exception as error:  # their schema is for show: it must not keep the model from answering
            print("the schema of run() cannot be shown: %s" % error, file=sys.stderr)
            return None

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


def _swagger(*folders: str) -> Optional[Dict[str, Any]]:
    """A description that lies beside the script (``swagger3.json``, ``swagger2.json``, ``swagger.json``)."""
    for folder in folders:
        for name in ("swagger3.json", "swagger2.json", "swagger.json"):
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                with open(path, encoding="utf-8") as file:
                    return {"document": json.load(file)}
    return None


def _load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(MODULE, path)
    if spec is None or spec.loader is None:
        raise BadScript("%s is not a Python file" % path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    spec.loader.exec_module(module)
    return module
