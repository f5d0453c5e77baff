"""Desired state: what the control plane wants served. Models, and the reading of their JSON form."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import orjson

from doubleloop.base import errors, ids
from doubleloop.gateway import paths


@dataclass(frozen=True)
class Collect:
    """What the inference log keeps of an answered request. A request outside the sample leaves no row unless
    it failed."""

    inputs: bool = True
    outputs: bool = True
    sampling_rate: float = 1.0
    # What a script may collect by itself (``azureml-ai-monitoring``): name to wanted; None is everything.
    collections: Mapping[str, bool] | None = None
    # Request headers that are kept with each logged request, in lower case.
    headers: tuple[str, ...] = ()
    # Columns whose values are left out, or replaced by a digest that is the same for the same value.
    drop: tuple[str, ...] = ()
    hash: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scale:
    """The number of instances follows the load: see ``scaling``."""

    min_instances: int = 1
    max_instances: int = 1
    polling_interval_ms: int = 1000
    target_utilization_percentage: int = 70


@dataclass(frozen=True)
class Deployment:
    """One deployment. ``id`` names this very version of it: a new id under the same name is a replacement.

    ``model_dir``: an MLflow model folder, or, for a script, the model's file or folder. Times in milliseconds.
    ``secrets`` are more environment variables: to each the secret it stands for; ``sealed`` has their values, which
    ``sealing`` opens. ``signature``: ``{"inputs": [...], "outputs": [...], "params": [...]}`` in MLflow's own form;
    None takes the one in the MLmodel file; a model that has none there either needs ``unsigned_reason``.
    """

    id: str
    python: str
    model_dir: str
    kind: Literal["mlflow", "script"] = "mlflow"
    code_dir: str | None = None
    scoring_script: str | None = None
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    sealed: Mapping[str, str] = field(default_factory=dict)
    # With ``scale`` this is where it starts.
    instances: int = 1
    scale: Scale | None = None
    request_timeout_ms: int = 5000
    max_concurrent_requests_per_instance: int = 1
    max_queue_wait_ms: int = 500
    signature: Mapping[str, Any] | None = None
    unsigned_reason: str | None = None
    model: str = ""
    model_version: str = ""
    collect: Collect = Collect()
    # Whether a plan may answer in the model's place where the two agree.
    compile: bool = True
    # Whether images may be sent by their addresses, and what these may lead to beside the internet; None: they may not.
    image_urls: tuple[str, ...] | None = None
    # How long an instance may take to load the model; None: as long as the gateway gives each.
    start_timeout_ms: int | None = None

    def identity(self) -> tuple[Any, ...]:
        """What needs new processes when it changes; everything else is applied to the running ones."""
        return (
            self.id, self.python, self.model_dir, self.kind, self.code_dir, self.scoring_script,
            tuple(sorted(self.environment_variables.items())), tuple(sorted(self.sealed.items())),
            orjson.dumps(self.signature, option=orjson.OPT_SORT_KEYS), self.unsigned_reason,
            tuple(sorted((self.collect.collections or {}).items())), self.collect.collections is None, self.compile,
        )  # fmt: skip


@dataclass(frozen=True)
class Slo:
    """Objectives over a rolling window: per cent of good requests, None for no such objective. ``latency`` is the share
    answered within ``latency_threshold_ms``."""

    window_seconds: int = 28 * 86400
    availability: float | None = None
    latency: float | None = None
    latency_threshold_ms: float | None = None


@dataclass(frozen=True)
class Endpoint:
    """``traffic`` and ``mirror_traffic``: deployment name to percent. ``keys_sha256``: hex digests of the keys.
    ``token_key``: the public key, in hex, of tokens that are good here, too; empty for none."""

    deployments: Mapping[str, Deployment]
    traffic: Mapping[str, float] = field(default_factory=dict)
    mirror_traffic: Mapping[str, float] = field(default_factory=dict)
    auth: Literal["key", "none"] = "key"
    keys_sha256: tuple[str, ...] = ()
    token_key: str = ""
    slo: Slo | None = None

    def access(self) -> str:
        """The same for the same ways in: by it is told which keys are in force, without telling keys."""
        ways = [self.auth, sorted(self.keys_sha256), self.token_key]
        return hashlib.sha256(orjson.dumps(ways)).hexdigest()


@dataclass(frozen=True)
class Desired:
    """``endpoints`` by ``"<workspace>/<endpoint>"``."""

    generation: int
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)


def to_json(desired: Desired) -> bytes:
    return orjson.dumps(asdict(desired), option=orjson.OPT_INDENT_2)


def from_json(content: bytes) -> Desired:
    """Raises errors.InvalidInput that names the place (``endpoints.shop/fares.deployments.blue.instances``)."""
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise errors.InvalidInput(f"the desired state is not JSON: {error}") from None
    return from_dict(document)


def from_dict(document: Any) -> Desired:
    """From what ``to_json`` writes. Raises errors.InvalidInput as ``from_json`` does."""
    reader = _Reader("", _mapping(document, "desired state"))
    desired = Desired(
        generation=reader.take("generation", _whole(0)),
        endpoints={key: _endpoint(key, value) for key, value in reader.take("endpoints", _mapping, {}).items()},
    )
    reader.finish()
    return desired


def deployment(name: str, value: Any) -> Deployment:
    """From the form that ``to_json`` gives one. Raises errors.InvalidInput."""
    return _deployment(name, name, value)


def _allowances(given: list[str] | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(given)


def _endpoint(key: str, value: Any) -> Endpoint:
    place = f"endpoints.{key}"
    parts = key.split("/")
    if len(parts) != 2 or not all(ids.is_name(part) for part in parts):
        raise _wrong(place, "the key must be '<workspace>/<endpoint>'")
    reader = _Reader(place, _mapping(value, place))
    deployments = reader.take("deployments", _mapping, {})
    endpoint = Endpoint(
        deployments={name: _deployment(f"{place}.deployments.{name}", name, item)
                     for name, item in deployments.items()},
        traffic=reader.take("traffic", _shares, {}),
        mirror_traffic=reader.take("mirror_traffic", _shares, {}),
        auth=reader.take("auth", _choice("key", "none"), "key"),
        keys_sha256=tuple(reader.take("keys_sha256", _list_of_text, [])),
        token_key=reader.take("token_key", _text, ""),
        slo=_slo(f"{place}.slo", reader.take("slo", _mapping, None)),
    )  # fmt: skip
    reader.finish()
    for field_name, shares in (("traffic", endpoint.traffic), ("mirror_traffic", endpoint.mirror_traffic)):
        unknown = [name for name in shares if name not in endpoint.deployments]
        if unknown:
            raise _wrong(f"{place}.{field_name}", f"there is no deployment '{unknown[0]}'")
        if sum(shares.values()) > 100.000001:
            raise _wrong(f"{place}.{field_name}", "the shares add up to more than 100 percent")
    return endpoint


def _deployment(place: str, name: str, value: Any) -> Deployment:
    if not ids.is_name(name) or name == paths.LABELS:
        raise _wrong(place, f"'{name}' cannot be a deployment's name ('{paths.LABELS}' is taken by the label log)")
    reader = _Reader(place, _mapping(value, place))
    deployment = Deployment(
        id=reader.take("id", _name),
        python=reader.take("python", _text),
        model_dir=reader.take("model_dir", _text),
        kind=reader.take("kind", _choice("mlflow", "script"), "mlflow"),
        code_dir=reader.take("code_dir", _text, None),
        scoring_script=reader.take("scoring_script", _text, None),
        environment_variables=reader.take("environment_variables", _text_map, {}),
        secrets=reader.take("secrets", _text_map, {}),
        sealed=reader.take("sealed", _text_map, {}),
        instances=reader.take("instances", _whole(1), 1),
        scale=_scale(f"{place}.scale", reader.take("scale", _mapping, None)),
        request_timeout_ms=reader.take("request_timeout_ms", _whole(1), 5000),
        max_concurrent_requests_per_instance=reader.take("max_concurrent_requests_per_instance", _whole(1), 1),
        max_queue_wait_ms=reader.take("max_queue_wait_ms", _whole(0), 500),
        signature=reader.take("signature", _mapping, None),
        unsigned_reason=reader.take("unsigned_reason", _text, None),
        model=reader.take("model", _text, ""),
        model_version=reader.take("model_version", _text, ""),
        collect=_collect(f"{place}.collect", reader.take("collect", _mapping, {})),
        compile=reader.take("compile", _flag, True),
        image_urls=_allowances(reader.take("image_urls", _list_of_text, None)),
        start_timeout_ms=reader.take("start_timeout_ms", _whole(1), None),
    )
    reader.finish()
    if deployment.kind == "script" and not (deployment.code_dir and deployment.scoring_script):
        raise _wrong(place, "a script deployment needs code_dir and scoring_script")
    if set(deployment.secrets) != set(deployment.sealed):
        raise _wrong(place, "every variable of 'secrets' needs its value in 'sealed', and no other has one")
    return deployment


def _slo(place: str, value: Mapping[str, Any] | None) -> Slo | None:
    if value is None:
        return None
    reader = _Reader(place, value)
    slo = Slo(
        window_seconds=reader.take("window_seconds", _whole(1), Slo.window_seconds),
        availability=reader.take("availability", _target, None),
        latency=reader.take("latency", _target, None),
        latency_threshold_ms=reader.take("latency_threshold_ms", _above_zero, None),
    )
    reader.finish()
    if (slo.latency is None) != (slo.latency_threshold_ms is None):
        raise _wrong(place, "latency and latency_threshold_ms belong together")
    return slo


def _scale(place: str, value: Mapping[str, Any] | None) -> Scale | None:
    if value is None:
        return None
    reader = _Reader(place, value)
    scale = Scale(
        min_instances=reader.take("min_instances", _whole(1), 1),
        max_instances=reader.take("max_instances", _whole(1), 1),
        polling_interval_ms=reader.take("polling_interval_ms", _whole(1), 1000),
        target_utilization_percentage=reader.take("target_utilization_percentage", _whole(1), 70),
    )
    reader.finish()
    if scale.min_instances > scale.max_instances:
        raise _wrong(place, "min_instances is above max_instances")
    if scale.target_utilization_percentage > 100:
        raise _wrong(f"{place}.target_utilization_percentage", "must be at most 100")
    return scale


def _collect(place: str, value: Mapping[str, Any]) -> Collect:
    reader = _Reader(place, value)
    collect = Collect(
        inputs=reader.take("inputs", _flag, True),
        outputs=reader.take("outputs", _flag, True),
        sampling_rate=reader.take("sampling_rate", _share, 1.0),
        collections=reader.take("collections", _flags, None),
        headers=tuple(reader.take("headers", _list_of_text, [])),
        drop=tuple(reader.take("drop", _list_of_text, [])),
        hash=tuple(reader.take("hash", _list_of_text, [])),
    )
    reader.finish()
    return collect


_REQUIRED: Any = object()
Check = Callable[[Any, str], Any]


class _Reader:
    """Takes fields one by one and refuses what is left over: a misspelt field is an error, not a default."""

    def __init__(self, place: str, value: Mapping[str, Any]) -> None:
        self._place, self._left = place, dict(value)

    def take(self, name: str, check: Check, default: Any = _REQUIRED) -> Any:
        place = f"{self._place}.{name}" if self._place else name
        if name not in self._left:
            if default is _REQUIRED:
                raise _wrong(place, "is missing")
            return default
        value = self._left.pop(name)
        return value if value is None and default is None else check(value, place)

    def finish(self) -> None:
        if self._left:
            raise _wrong(self._place or "desired state", f"unknown field '{next(iter(self._left))}'")


def _wrong(place: str, what: str) -> errors.InvalidInput:
    return errors.InvalidInput(f"desired state: {place}: {what}")


def _mapping(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(place, "must be an object")
    return value


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise _wrong(place, "must be a text")
    return value


def _name(value: Any, place: str) -> str:
    if not isinstance(value, str) or not ids.is_name(value):
        raise _wrong(place, "must be letters, digits, '.', '_' or '-'")
    return value


def _flag(value: Any, place: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(place, "must be true or false")
    return value


def _flags(value: Any, place: str) -> dict[str, bool]:
    return {name: _flag(item, f"{place}.{name}") for name, item in _mapping(value, place).items()}


def _share(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise _wrong(place, "must be a number between 0 and 1")
    return float(value)


def _target(value: Any, place: str) -> float:
    if _above_zero(value, place) >= 100:
        raise _wrong(place, "must be a percentage below 100")
    return float(value)


def _above_zero(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise _wrong(place, "must be a number above 0")
    return float(value)


def _shares(value: Any, place: str) -> dict[str, float]:
    shares = _mapping(value, place)
    for name, share in shares.items():
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 100:
            raise _wrong(f"{place}.{name}", "must be a percentage between 0 and 100")
    return shares


def _text_map(value: Any, place: str) -> dict[str, str]:
    return {name: _text(item, f"{place}.{name}") for name, item in _mapping(value, place).items()}


def _list_of_text(value: Any, place: str) -> list[str]:
    if not isinstance(value, list):
        raise _wrong(place, "must be a list")
    return [_text(item, place) for item in value]


def _whole(least: int) -> Check:
    def check(value: Any, place: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise _wrong(place, f"must be a whole number of at least {least}")
        return value

    return check


def _choice(*allowed: str) -> Check:
    def check(value: Any, place: str) -> str:
        if value not in allowed:
            raise _wrong(place, f"must be one of {', '.join(allowed)}")
        return str(value)

    return check
