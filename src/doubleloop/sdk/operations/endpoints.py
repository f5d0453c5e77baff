"""Online endpoints, their deployments, and asking them."""

from __future__ import annotations

import builtins
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doubleloop.base import errors
from doubleloop.sdk import endpoints as http
from doubleloop.sdk import routes
from doubleloop.sdk.entities.online import ManagedOnlineDeployment, ManagedOnlineEndpoint
from doubleloop.sdk.operations import model

if TYPE_CHECKING:
    from os import PathLike

# What of an endpoint its file says.
KEPT = ("name", "description", "auth_mode", "traffic", "mirror_traffic", "slo", "tags", "properties")


class OnlineEndpointOperations:
    """``client.online_endpoints``."""

    def __init__(self, place: model.Place) -> None:
        self.place = place

    def begin_create_or_update(
        self, endpoint: ManagedOnlineEndpoint, *, local: bool = False
    ) -> model.Poller[ManagedOnlineEndpoint]:
        """Make an endpoint, or change it to what is said: also its ``traffic``. ``local``: of this machine alone, which
        asks for no key. It is done at once."""
        return model.done(_endpoint(self.place.routes.endpoints.put(self.place.ship(endpoint)[1], local)))

    def create_or_update(self, endpoint: ManagedOnlineEndpoint, *, local: bool = False) -> ManagedOnlineEndpoint:
        """As ``begin_create_or_update(...).result()``."""
        return self.begin_create_or_update(endpoint, local=local).result()

    def get(self, name: str) -> ManagedOnlineEndpoint:
        """Raises NotFound."""
        return _endpoint(self.place.routes.endpoints.show(name))

    def list(self) -> builtins.list[ManagedOnlineEndpoint]:
        return [_endpoint(body) for body in self.place.routes.endpoints.list()]

    def begin_delete(self, name: str) -> model.Poller[bool]:
        """Delete an endpoint with its deployments."""
        self.place.routes.endpoints.delete(name)
        return model.done(True)

    def get_keys(self, name: str) -> routes.Body:
        """The two keys."""
        return self.place.routes.endpoints.keys(name)

    def get_slo(self, name: str) -> routes.Body:
        """How the endpoint meets its objectives: compliance, error budgets, burn rates."""
        return self.place.routes.endpoints.slo(name)

    def invoke(
        self, endpoint_name: str, *, request_file: str | PathLike[str] | None = None, input_data: Any = None,
        deployment_name: str | None = None,
    ) -> str:  # fmt: skip
        """The model's answer, as text. Ask with a file of JSON, or with ``input_data``: what JSON can hold, or a data
        frame. ``deployment_name``: one deployment, whatever the traffic.

        Raises the endpoint's refusal, or Failed with what the model answered.
        """
        content = _asked(request_file, input_data)
        answer = self.place.routes.endpoints.invoke(endpoint_name, content, deployment_name)
        http.refuse(answer)
        return answer.body.decode(errors="replace")

    def stream(
        self, endpoint_name: str, *, request_file: str | PathLike[str] | None = None, input_data: Any = None,
        deployment_name: str | None = None,
    ) -> Iterator[Any]:  # fmt: skip
        """As ``invoke``, but the answer to one row piece by piece, as the model makes it: texts, or the mappings that
        its ``predict_stream`` yields. To leave the iteration early stops the model.

        Raises what ``invoke`` raises, also in the middle: every answer ends whole or with an error.
        """
        return self.place.routes.endpoints.stream(endpoint_name, _asked(request_file, input_data), deployment_name)


def _asked(request_file: str | PathLike[str] | None, input_data: Any) -> bytes:
    """Raises InvalidInput unless one of the two is given."""
    if (request_file is None) == (input_data is None):
        raise errors.InvalidInput("There is nothing to send", cure="Give one of request_file= and input_data=.")
    return Path(request_file).read_bytes() if request_file is not None else _content(input_data)


class OnlineDeploymentOperations:
    """``client.online_deployments``."""

    def __init__(self, place: model.Place) -> None:
        self.place = place

    def begin_create_or_update(self, deployment: ManagedOnlineDeployment) -> model.Poller[ManagedOnlineDeployment]:
        """Begin to deploy a model; ``result()`` waits until it is ready. Traffic is the endpoint's to set.

        ``result()`` raises Failed when it fails, Conflict when another one took its place.
        """
        document, wire = self.place.ship(deployment)
        endpoint, name = document.model.endpoint_name, document.model.name
        id_ = str(self.place.routes.endpoints.create_deployment(endpoint, wire)["id"])
        return model.Poller(
            lambda: self._settled(endpoint, name, id_),
            lambda: str(self.place.routes.endpoints.deployment(endpoint, name)["status"]),
        )  # fmt: skip

    def create_or_update(self, deployment: ManagedOnlineDeployment) -> ManagedOnlineDeployment:
        """Deploy a model and wait until it is ready."""
        return self.begin_create_or_update(deployment).result()

    def get(self, name: str, endpoint_name: str) -> ManagedOnlineDeployment:
        """Raises NotFound."""
        return _deployment(self.place.routes.endpoints.deployment(endpoint_name, name))

    def list(self, endpoint_name: str) -> builtins.list[ManagedOnlineDeployment]:
        return [_deployment(body) for body in self.place.routes.endpoints.deployments(endpoint_name)]

    def begin_delete(self, name: str, endpoint_name: str) -> model.Poller[bool]:
        """Delete a deployment that takes no traffic."""
        self.place.routes.endpoints.delete_deployment(endpoint_name, name)
        return model.done(True)

    def get_logs(self, name: str, endpoint_name: str, lines: int = 50) -> str:
        """The newest lines of what its processes wrote."""
        return self.place.routes.endpoints.logs(endpoint_name, name, lines)

    def _settled(self, endpoint: str, name: str, id_: str) -> ManagedOnlineDeployment | None:
        found = self.place.routes.endpoints.deployment(endpoint, name)
        if found.get("id", id_) != id_:
            raise errors.Conflict(f"Deployment {name} was replaced by another before it was ready")
        if found["status"] not in http.SETTLED:
            return None
        if found["status"] != "ready":
            error = found.get("error")
            raise errors.Failed(
                f"Deployment {name} of {endpoint} is {found['status']}{model.because(error)}",
                cure=model.cure(error) or f"See client.online_deployments.get_logs({name!r}, {endpoint!r}).",
            )
        return _deployment(found)


def _endpoint(body: routes.Body) -> ManagedOnlineEndpoint:
    made = ManagedOnlineEndpoint._read({key: body[key] for key in KEPT if body.get(key)}, {})
    made.__dict__["_body"] = body
    return made


def _deployment(body: routes.Body) -> ManagedOnlineDeployment:
    named = {"name": body["name"], "endpoint_name": body["endpoint_name"]}
    made = ManagedOnlineDeployment._read({**(body.get("spec") or {}), **named}, {})
    made.__dict__["_body"] = body
    return made


def _content(data: Any) -> bytes:
    """What is asked, as JSON; a data frame as columns, index and rows."""
    split = getattr(data, "to_json", None)
    if callable(split):
        return f'{{"input_data": {split(orient="split")}}}'.encode()
    return data if isinstance(data, bytes) else json.dumps(data).encode()
