"""One request at one deployment: checked, scored, logged. The log comes before the answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import orjson

from doubleloop.base import clock, errors
from doubleloop.gateway import bodies, failures, images, messages, payloads, pool, records, signatures, streaming
from doubleloop.gateway import limits as limit
from doubleloop.gateway.answering import Answering

logger = logging.getLogger(__name__)


class Attempt:
    """One request at one deployment. What is learnt on the way is kept for the log, also when it fails."""

    def __init__(
        self, request: messages.Request, running: Answering, request_id: str, mirrored: bool, form: streaming.Form
    ) -> None:  # fmt: skip
        self._request, self._running, self.id, self._mirrored = request, running, request_id, mirrored
        self._form = form
        self.name, self.counts = running.name, running.counts
        self.ended: Callable[[int], None] = lambda status: None
        self._streamed: streaming.Streamed | None = None
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
        if response.events is None:
            self.log(response.status, None if response.status < 400 else "the script answered with this status")
        return response

    async def _model(self, checker: signatures.Checker, limits: limit.Limits) -> messages.Response:
        body = self._request.body
        checked = checker.straight(body, limits) or checker.check(payloads.parse(body, limits))
        return await self._checked(checked, limits)

    async def _images(self, taken: images.Images, limits: limit.Limits) -> messages.Response:
        return await self._checked(await taken.read(self._request, limits, self._running.deployment), limits)

    async def _checked(self, checked: signatures.Checked, limits: limit.Limits) -> messages.Response:
        self._rows, self._names = checked.rows, checked.header.get("names")
        if self._running.deployment.collect.inputs:
            self._inputs = orjson.dumps(checked.value)
        checked.header["input"] = checked.value
        if self._streams(checked.header.pop("stream", None)):
            return await self._stream(checked, limits)
        answer = await self._running.nearby(checked)
        if answer is None:
            _, answer = await self._send(checked.header, b"")
        self._output = answer
        return messages.Response(200, answer if checked.azure else b'{"predictions":' + answer + b"}")

    def _streams(self, asked: bool | None) -> bool:
        """Whether the answer is to be streamed; ``asked``: what the body says. A copy is answered as its model can.

        Raises failures.NotAcceptable, errors.InvalidInput when the model cannot, and the caller takes nothing else.
        """
        rather, json = (False, True) if asked is not None else streaming.accepted(self._request)
        if self._running.streams or self._mirrored or not (asked or (rather and not json)):
            return self._running.streams and (rather if asked is None else asked)
        what = "the model does not stream its answers: it has no predict_stream, or was not logged as streamable"
        if asked:
            raise errors.InvalidInput(what, cure="leave 'stream' out")
        raise failures.NotAcceptable(what, cure="send 'Accept: application/json'")

    async def _stream(self, checked: signatures.Checked, limits: limit.Limits) -> messages.Response:
        if checked.rows != 1:
            raise errors.InvalidInput(f"a streamed answer is of one row, and {checked.rows} were sent")
        timeout = self._running.deployment.request_timeout_ms / 1000
        flow = self._running.pool.stream(checked.header, b"", timeout)
        streamed = streaming.Streamed(flow, self, self._form, limits.max_stream_bytes, self._over)
        try:
            await streamed.begin()
        except BaseException:
            flow.close()
            raise
        self._streamed = streamed
        if streamed.first_ms is not None:
            self.counts.streaming(streamed.first_ms)
        return messages.Response(200, b"", streaming.CONTENT_TYPE, list(streaming.HEADERS), streamed)

    def _over(self, status: int) -> None:
        """A streamed answer has ended, or its caller has gone."""
        assert self._streamed is not None
        self.counts.pieces += self._streamed.pieces
        if status == streaming.CALLER_LEFT:
            self.counts.cancelled += 1
        else:
            self.counts.answered(status, self.milliseconds())
            self.ended(status)
        self.counts.left()

    async def _script(self, limits: limit.Limits) -> messages.Response:
        value = payloads.decode(self._request.body, limits)
        if not streaming.accepted(self._request)[1]:
            raise failures.NotAcceptable("scoring scripts do not stream", cure="send 'Accept: application/json'")
        self._rows = bodies.rows(value)
        if self._rows > limits.max_rows:
            raise errors.TooLarge(f"{self._rows} rows in one request, the limit is {limits.max_rows}")
        self._inputs = orjson.dumps(value)
        header: dict[str, Any] = {
            "rows": self._rows, "headers": {"Content-Type": "application/json", "X-Request-Id": self.id},
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
        streaming.check(answer)
        return answer, content

    def failed(self, error: errors.DoubleloopError) -> messages.Response:
        response = messages.failure(error, self.id)
        try:
            self.log(response.status, f"{error.code}: {error.what}")
        except errors.Unavailable as worse:
            return messages.failure(worse, self.id)
        return response

    def _headers(self, wanted: tuple[str, ...]) -> dict[str, str] | None:
        if not wanted:
            return None
        found = {name: self._request.headers.get(name.encode()) for name in wanted}
        return {name: value.decode("latin-1") for name, value in found.items() if value is not None} or None

    def log(self, status: int, error: str | None) -> None:
        """Raises errors.Unavailable when the disk refuses: an answer that is not logged is not given."""
        running, streamed = self._running, self._streamed
        if streamed is not None and error is None:
            self._output = streamed.output()
        collect = running.deployment.collect
        if error is None and running.collects:  # the script tells the rows itself, under ids of its own
            return
        record = records.Record(
            request_id=self.id, event_us=event_time(self._request), received_us=self._request.arrived_us,
            status=status, latency_ms=self.milliseconds(), rows=self._rows, mirrored=self._mirrored,
            inputs=self._inputs if collect.inputs else None, names=self._names if collect.inputs else None,
            output=self._output if collect.outputs else None, error=error, headers=self._headers(collect.headers),
            pieces=None if streamed is None else streamed.pieces,
            first_ms=None if streamed is None else streamed.first_ms,
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
    check_encoding(request)
    return True


def check_encoding(request: messages.Request) -> None:
    """Raises failures.WrongMediaType."""
    if b"content-encoding" in request.headers and request.headers[b"content-encoding"] != b"identity":
        raise failures.WrongMediaType("compressed bodies are not read", cure="send the body without Content-Encoding")


def event_time(request: messages.Request) -> int:
    """Microseconds since 1970: the CloudEvents header ``ce-time`` if it is a valid time, else the arrival."""
    given = request.headers.get(b"ce-time")
    if given is not None:
        try:
            return clock.microseconds(clock.parse(given.decode("ascii").strip()))
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
