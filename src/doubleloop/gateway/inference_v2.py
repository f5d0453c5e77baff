"""The Open Inference Protocol under an endpoint: ``/<workspace>/<endpoint>/v2/...``.

A model's name is the endpoint's, the model's own, or a deployment's, which picks that deployment.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import orjson

from doubleloop import __version__
from doubleloop.base import errors
from doubleloop.gateway import attempts, failures, generate_v2, messages, scoring, tensors_v2
from doubleloop.gateway import limits as limit
from doubleloop.gateway.answering import Answering
from doubleloop.gateway.routing import Route

LENGTH = b"inference-header-content-length"
EXTENSIONS = ["binary_tensor_data", "generate"]
ASKED = ("infer", "generate", "generate_stream")
_DEPLOYMENT = b"azureml-model-deployment"


class Protocol:
    def __init__(self, scored: scoring.Scoring, limits: limit.Limits) -> None:
        self._scoring, self._limits = scored, limits

    async def answer(self, request: messages.Request, route: Route, parts: list[str]) -> messages.Response:
        """``parts``: the path behind ``v2``. Errors have the protocol's form, ``{"error": text}``."""
        try:
            return await self._answer(request, route, parts)
        except errors.DoubleloopError as error:
            route.refused[error.status] += 1
            if parts and parts[-1] in ASKED:
                route.tally.add(error.status, 0.0, time.time())
            return generate_v2.failure(messages.failure(error))

    async def _answer(self, request: messages.Request, route: Route, parts: list[str]) -> messages.Response:
        if parts in (["health", "live"], ["health", "ready"]):
            _only(request, "GET")
            good = parts[1] == "live" or bool(route.serving)
            return messages.as_json({parts[1]: good}, 200 if good else 503)
        if not parts:
            _only(request, "GET")
            return messages.as_json({"name": "doubleloop", "version": __version__, "extensions": EXTENSIONS})
        if parts[0] != "models" or len(parts) < 2:
            raise errors.NotFound("this is not known here", cure="GET v2/models/NAME, POST v2/models/NAME/infer")
        name, rest = parts[1], parts[2:]
        version = rest[1] if rest[:1] == ["versions"] and len(rest) > 1 else None
        rest = rest[2:] if version is not None else rest
        if len(rest) == 1 and rest[0] in ASKED:
            _only(request, "POST")
            if rest == ["infer"]:
                return await self._infer(request, route, name, version)
            return await self._generate(request, route, name, version, rest == ["generate_stream"])
        _only(request, "GET")
        route.authenticate(request.header(b"authorization"))
        running = _picked(route, name, version, request.header(_DEPLOYMENT))
        if rest == ["ready"]:
            return messages.as_json(
                {"name": name, "ready": bool(running.pool.ready)}, 200 if running.pool.ready else 503
            )
        if not rest:
            return messages.as_json(_metadata(route, name, running))
        raise errors.NotFound(
            f"'{'/'.join(rest)}' is not known of a model", cure="infer, generate, generate_stream, ready, or nothing"
        )

    def _asked(
        self, request: messages.Request, route: Route, name: str, version: str | None
    ) -> tuple[Answering, dict[bytes, bytes]]:
        """What answers, and the headers of the same request to ``score``."""
        route.authenticate(request.header(b"authorization"))
        attempts.check_encoding(request)
        wanted = request.header(_DEPLOYMENT) or (name if name in route.serving else None)
        running = _picked(route, name, version, wanted)
        headers = {key: value for key, value in request.headers.items() if key not in (LENGTH, b"accept")}
        headers |= {b"content-type": messages.JSON}
        if wanted is not None or version is not None:
            headers[_DEPLOYMENT] = running.name.encode()
        return running, headers

    async def _generate(
        self, request: messages.Request, route: Route, name: str, version: str | None, streamed: bool
    ) -> messages.Response:  # fmt: skip
        running, headers = self._asked(request, route, name, version)
        asked = generate_v2.read(request.body, running, streamed, self._limits)
        form = generate_v2.Texts(name, running.deployment.model_version, asked.id)
        headers[_DEPLOYMENT] = running.name.encode()  # its columns are those that were read for
        response = await self._scoring.answer(replace(request, headers=headers, body=asked.body), route, form)
        if response.status >= 400:
            return generate_v2.failure(response)
        if response.events is None:
            response.body = form.whole(response.body)
        return response

    async def _infer(
        self, request: messages.Request, route: Route, name: str, version: str | None
    ) -> messages.Response:  # fmt: skip
        running, headers = self._asked(request, route, name, version)
        contract = running.contract
        takes_tensors = contract is not None and contract.layout == "tensor"
        signature = (contract.signature if contract is not None else None) or {}
        binary = {str(spec.get("name")) for spec in signature.get("inputs") or [] if spec.get("type") == "binary"}
        asked = tensors_v2.read(request.body, request.header(LENGTH), takes_tensors, self._limits, binary)
        known = {str(spec.get("name")) for spec in signature.get("params") or []} - {"stream"}
        params = {name: value for name, value in asked.parameters.items() if name in known}
        ours = {"input_data": asked.value, **({"params": params} if params else {})}
        response = await self._scoring.answer(replace(request, headers=headers, body=orjson.dumps(ours)), route)
        if response.status >= 400:
            return generate_v2.failure(response)
        outputs = signature.get("outputs") or []
        served = dict(response.headers).get(b"x-model-version", b"").decode("latin-1")
        body, length = tensors_v2.answer(response.body, asked, outputs, name, served)
        response.body = body
        if length is not None:
            response.content_type = b"application/octet-stream"
            response.headers.append((LENGTH, str(length).encode()))
        return response


def _picked(route: Route, name: str, version: str | None, wanted: str | None) -> Answering:
    """Raises errors.NotFound for a model or version that does not answer here."""
    running = route.pick(wanted if wanted is not None else name if name in route.serving else None, lambda: 0.0)
    known = {route.name, *(each.deployment.model for each in route.serving.values()), *route.serving}
    if name not in known:
        raise errors.NotFound(f"no model is named '{name}' here", cure=f"one of {', '.join(sorted(known - {''}))}")
    if version is None or running.deployment.model_version == version:
        return running
    for each in route.serving.values():
        if each.deployment.model_version == version:
            return each
    raise errors.NotFound(f"version {version} of '{name}' does not answer here")


def _metadata(route: Route, name: str, running: Answering) -> dict[str, Any]:
    signature = (running.contract.signature if running.contract is not None else None) or {}
    versions = {each.deployment.model_version for each in route.serving.values() if each.deployment.model_version}
    return {
        "name": name, "versions": sorted(versions), "platform": f"doubleloop_{running.deployment.kind}",
        "inputs": tensors_v2.describe(signature.get("inputs", [])),
        "outputs": tensors_v2.describe(signature.get("outputs", [])),
    }  # fmt: skip


def _only(request: messages.Request, method: str) -> None:
    if request.method != method:
        raise failures.WrongMethod(f"{request.method} is not allowed here", cure=f"send a {method}")
