"""Who may call an endpoint, and which deployment answers."""

from __future__ import annotations

import hashlib
import hmac
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping

from doubleloop.base import errors
from doubleloop.gateway import desired, failures, paths, records, tally, tokens, wal
from doubleloop.gateway.answering import Answering, Place

# Tokens that are remembered as good, so that their signature is checked once.
TOKENS = 1000


class Route:
    """One endpoint as it answers now. ``serving`` holds what can answer, ``traffic`` the split among it."""

    def __init__(
        self, workspace: str, name: str, endpoint: desired.Endpoint, labels: wal.Log, counted: tally.Tally
    ) -> None:
        self.workspace, self.name = workspace, name
        self.endpoint = endpoint
        self.labels = labels
        self.tally = counted
        self.serving: dict[str, Answering] = {}
        self.traffic: dict[str, float] = {}
        self.refused: Counter[int] = Counter()
        self.since = time.time()
        self._tokens: dict[str, int] = {}
        self._token_key = ""

    def authenticate(self, authorization: str | None) -> None:
        """Raises errors.NotAuthenticated. All keys are compared, each in constant time."""
        if self.endpoint.auth == "none":
            return
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise errors.NotAuthenticated("no key", cure="send the header 'Authorization: Bearer KEY'")
        if self.endpoint.token_key and key.startswith(tokens.PREFIX):
            self._check_token(key.strip())
            return
        digest = hashlib.sha256(key.strip().encode()).hexdigest()
        right = [hmac.compare_digest(digest, known.lower()) for known in self.endpoint.keys_sha256]
        if not any(right):
            raise errors.NotAuthenticated("the key is not one of this endpoint's", cure="list the endpoint's keys")

    def _check_token(self, token: str) -> None:
        """Raises errors.NotAuthenticated. A signature is looked at once; then its end is what counts."""
        now = time.time()
        if self._tokens.get(token, 0) > now and self._token_key == self.endpoint.token_key:
            return
        if self._token_key != self.endpoint.token_key or len(self._tokens) >= TOKENS:
            self._tokens.clear()
            self._token_key = self.endpoint.token_key
        self._tokens[token] = tokens.check(token, self.endpoint.token_key, now)

    def pick(self, wanted: str | None, chance: Callable[[], float] = random.random) -> Answering:
        """Raises errors.NotFound for an unknown name, failures.NotReady when nothing can answer."""
        if wanted is not None:
            return self._named(wanted)
        total = sum(self.traffic.values())
        if not total:
            raise self._nothing()
        point = chance() * total
        for name, share in self.traffic.items():
            point -= share
            if point < 0:
                return self.serving[name]
        return self.serving[next(reversed(self.traffic))]

    def mirrors(self, picked: Answering, chance: Callable[[], float] = random.random) -> list[Answering]:
        """Deployments that get a copy of this request."""
        return [
            self.serving[name]
            for name, share in self.endpoint.mirror_traffic.items()
            if name in self.serving and name != picked.name and chance() * 100 < share
        ]

    def _named(self, wanted: str) -> Answering:
        if wanted in self.serving:
            return self.serving[wanted]
        if wanted in self.endpoint.deployments:
            raise failures.NotReady(f"deployment '{wanted}' is not ready", cure="look at the endpoint's status")
        known = ", ".join(self.endpoint.deployments) or "none"
        raise errors.NotFound(f"there is no deployment '{wanted}'", cure=f"this endpoint has: {known}")

    def _nothing(self) -> failures.NotReady:
        if not any(self.endpoint.traffic.values()):
            return failures.NotReady(
                "no deployment has traffic", cure="give one traffic, or name it in the header azureml-model-deployment"
            )
        return failures.NotReady("no deployment of this endpoint is ready", cure="look at the endpoint's status")


def label_log(place: Place, workspace: str, name: str) -> wal.Log:
    """Of an endpoint: where true values that come later are kept."""
    header = records.Header(workspace, name, "", "", "", "", layout=paths.LABELS)
    folder = paths.label_log(place.home, workspace, name) / "wal"
    return wal.Log(folder, records.encode_header(header), place.limits, place.closed_segment)


def split(
    wanted: Mapping[str, float], serving: Mapping[str, Answering], before: Mapping[str, float]
) -> dict[str, float]:
    """The shares in force: the wanted ones among deployments that can answer. While none of the wanted can (a
    new one is still starting), the earlier split goes on; no traffic wanted means none."""
    now = {name: share for name, share in wanted.items() if share > 0 and name in serving}
    if now or not any(wanted.values()):
        return now
    return {name: share for name, share in before.items() if name in serving}
