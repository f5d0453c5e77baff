"""The request path: read, check, score, log, answer. The log comes before the answer."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import orjson

from doubleloop.base import clock, errors
from doubleloop.gateway import bodies, failures, images, messages, payloads, pool, records, request_ids, signatures
from doubleloop.gateway import limits as limit
from doubleloop.gateway.answering import Answering
from doubleloop.gateway.routing import Route

logger = logging.getLogger(__name__)


class Scoring:
    def __init__(self, limits: limit.Limits) -> None:
        self._limits = limits
        self._ids = request_ids.RequestIds()
        self._copies: set[asyncio.Task[messages.Response]] = set()

    async def answer(self, request: messages.Request, route: Route) -> messages.Response:
        """Never raises but for cancellation (the caller has gone)."""
        request_id = self._ids.choose(request.headers)
        try:
            route.authenticate(request.header(b"authorization"))
            running = None if request.method != "POST" else route.pick(request.header(b"azureml-model-deployment"))
            if running is None and request.method == "GET":
                picked = route.pick(request.header(b"azureml-model-deployment"))
                running = picked if picked.raw else None
            if running is None:
                raise failures.WrongMethod(f"{request.method} is not allowed here", cure="send a POST")
        except errors.DoubleloopError as error:
            route.refused[error.status] += 1
            route.tally.add(error.status, 0.0, time.time())
            return _identified(messages.failure(error, request_id), request, request_id)
        if route.endpoint.mirror_traffic:
            self._mirror(request, route, running, request_id)
        response = await self._score(request, running, request_id)
        route.tally.add(response.status, (time.perf_counter() - request.arrived) * 1000, time.time())
        response.headers += [
            (b"azureml-model-deployment", running.name.encode()),
            (b"x-model-version", running.deployment.model_version.encode("latin-1", "replace")),
        ]
        return _identified(response, request, request_id)

    def _mirror(self, request: messages.Request, route: Route, picked: Answering, request_id: str) -> None:
        for copy in route.mirrors(picked):
            task = asyncio.create_task(self._score(request, copy, request_id, mirrored=True))
            self._copies.add(task)
            task.add_done_callback(self._copies.discard)

    async def _score(
        self, request: messages.Request, running: Answering, request_id: str, mirrored: bool = False
    ) -> messages.Response:
        counts = running.counts
        counts.entered()
        try:
            attempt = _Attempt(request, running, request_id, mirrored)
            try:
                response = await attempt.run(self._limits)
            except errors.DoubleloopError as error:
                response = attempt.failed(error)
            except asyncio.CancelledError:
                counts.cancelled += 1
                raise
            except Exception as error:
                logger.exception("request %s to %s failed", request_id, running.name)
                response = attempt.failed(errors.Failed(f"internal error: {type(error).__name__}"))
            counts.answered(response.status, attempt.milliseconds())
            return response
        finally:
            counts.left()


class _Attempt:
    """One request at one deployment. What is learnt on the way is kept for the log, also when it fails."""

    def __init__(self, request: messages.Request, running: Answering, request_id: str, mirrored: bool) -> None:
        self._request, self._running, self._id, self._mirrored = request, running, request_id, mirrored
        self._rows = 1
        self._inputs: bytes | None = None
        self._names: list[str] | None = None
        self._output: bytes | None = None

    def milliseconds(self) -> float:
        return (time.perf_counter() - self._request.arrived) * 1000

    async def run(self, limits: limit.Limits) -> messages.Response:
        contract = self._running.contract
        assert contract is not None
        if self._running.raw:
            response = await self._raw()
        elif contract.images is not None and contract.images.is_one(self._request):
            response = await self._images(contract.images, limits)
        elif check_content_type(self._request) and contract.checker is None:
            response = await self._script(limits)
        elif contract.images is not None:
            response = await self._images(contract.images, limits)
        else:
            assert contract.checker is not None
            response = await self._model(contract.checker, limits)
        self._log(response.status, None if response.status < 400 else "the script answered with this status")
        return response

    async def _model(self, checker: signatures.Checker, limits: limit.Limits) -> messages.Response:
        body = self._request.body
        return await self._checked(checker.straight(body, limits) or checker.check(payloads.parse(body, limits)))

    async def _images(self, taken: images.Images, limits: limit.Limits) -> messages.Response:
        return await self._checked(await taken.read(self._request, limits, self._running.deployment))

    async def _checked(self, checked: signatures.Checked) -> messages.Response:
        self._rows, self._names = checked.rows, checked.header.get("names")
        if self._running.deployment.collect.inputs:
            self._inputs = orjson.dumps(checked.value)
        checked.header["input"] = checked.value
        answer = await self._running.nearby(checked)
        if answer is None:
            _, answer = await self._send(checked.header, b"")
        self._output = answer
        return messages.Response(200, answer if checked.azure else b'{"predictions":' + answer + b"}")

    async def _script(self, limits: limit.Limits) -> messages.Response:
        value = payloads.decode(self._request.body, limits)
        self._rows = bodies.rows(value)
        if self._rows > limits.max_rows:
            raise errors.TooLarge(f"{self._rows} rows in one request, the limit is {limits.max_rows}")
        self._inputs = orjson.dumps(value)
        header: dict[str, Any] = {
            "rows": self._rows, "headers": {"Content-Type": "application/json", "X-Request-Id": self._id},
        }  # fmt: skip
        answer, body = await self._send(header, self._request.body)
        return self._replied(answer, body)

    async def _raw(self) -> messages.Response:
        """The request as it came, for a script that reads all of it; only JSON can be kept in columns."""
        request = self._request
        self._inputs = request.body if _is_json(request.body) else None
        header: dict[str, Any] = {
            "rows": 1, "method": request.method, "path": "/score", "query": request.query,
            "raw_headers": [
                [name.decode("latin-1"), value.decode("latin-1")]
                for name, value in request.headers.items()
                if name not in (b"authorization", b"content-length", b"transfer-encoding")
            ],
        }  # fmt: skip
        answer, body = await self._send(header, request.body)
        return self._replied(answer, body)

    def _replied(self, answer: dict[str, Any], body: bytes) -> messages.Response:
        """What a script answered, with the status, type and headers it chose."""
        response = messages.Response(int(answer.get("status", 200)), body)
        if answer.get("content_type"):
            response.content_type = str(answer["content_type"]).encode("latin-1", "replace")
        response.headers += [
            (name.lower().encode("latin-1", "replace"), value.encode("latin-1", "replace"))
            for name, value in answer.get("headers", ())
        ]
        self._output = body if response.content_type.startswith(messages.JSON) and _is_json(body) else None
        return response

    async def _send(self, header: dict[str, Any], body: bytes) -> pool.Answer:
        timeout = self._running.deployment.request_timeout_ms / 1000
        answer, content = await self._running.pool.submit(header, body, timeout)
        if not answer["ok"]:
            report = answer["error"]
            what = f"{report['kind']}: {report['message']}"
            if answer.get("caller"):
                raise errors.InvalidInput(what)
            raise failures.ModelRaised(f"the model raised {what}", cure="the deployment's log has the traceback")
        return answer, content

    def failed(self, error: errors.DoubleloopError) -> messages.Response:
        response = messages.failure(error, self._id)
        try:
            self._log(response.status, f"{error.code}: {error.what}")
        except errors.Unavailable as worse:
            return messages.failure(worse, self._id)
        return response

    def _headers(self, wanted: tuple[str, ...]) -> dict[str, str] | None:
        if not wanted:
            return None
        found = {name: self._request.headers.get(name.encode()) for name in wanted}
        return {name: value.decode("latin-1") for name, value in found.items() if value is not None} or None

    def _log(self, status: int, error: str | None) -> None:
        """Raises errors.Unavailable when the disk refuses: an answer that is not logged is not given."""
        running = self._running
        collect = running.deployment.collect
        if error is None and running.collects:  # the script tells the rows itself, under ids of its own
            return
        record = records.Record(
            request_id=self._id, event_us=event_time(self._request), received_us=self._request.arrived_us,
            status=status, latency_ms=self.milliseconds(), rows=self._rows, mirrored=self._mirrored,
            inputs=self._inputs if collect.inputs else None, names=self._names if collect.inputs else None,
            output=self._output if collect.outputs else None, error=error, headers=self._headers(collect.headers),
        )  # fmt: skip
        try:
            running.append(record)
        except OSError as problem:
            logger.error("the inference log cannot be written: %s", problem)
            raise errors.Unavailable("the answer cannot be logged, so it is not given", cure=str(problem)) from None


def check_content_type(request: messages.Request) -> bool:
    """True. Raises failures.WrongMediaType unless the body is declared as JSON in UTF-8."""
    given = request.headers.get(b"content-type", b"").lower()
    kind, _, parameters = given.partition(b";")
    if kind.strip() != messages.JSON:
        shown = given.decode("latin-1") or "none"
        raise failures.WrongMediaType(f"content type {shown}", cure="send 'Content-Type: application/json'")
    charset = parameters.partition(b"charset=")[2].strip(b' "')
    if charset and charset not in (b"utf-8", b"utf8", b"us-ascii"):
        raise failures.WrongMediaType(f"charset {charset.decode('latin-1')}", cure="send UTF-8")
    if b"content-encoding" in request.headers and request.headers[b"content-encoding"] != b"identity":
        raise failures.WrongMediaType("compressed bodies are not read", cure="send the body without Content-Encoding")
    return True


def event_time(request: messages.Request) -> int:
    """Microseconds since 1970: the CloudEvents header ``ce-time`` if it is a valid time, else the arrival."""
    given = request.headers.get(b"ce-time")
    if given is not None:
        try:
            return int(clock.parse(given.decode("ascii").strip()).timestamp() * 1_000_000)
        except (ValueError, OverflowError):
            pass
    return request.arrived_us


def _is_json(body: bytes) -> bool:
    """Whether it can stand in a line of the log: JSON without line breaks."""
    if b"\n" in body or not body:
        return False
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


def _identified(response: messages.Response, request: messages.Request, request_id: str) -> messages.Response:
    response.headers.append((b"x-request-id", request_id.encode()))
    given = request.headers.get(request_ids.HEADERS[0])
    if given is not None and request_ids.SANE.match(given):
        response.headers.append((request_ids.HEADERS[0], given))
    return response
