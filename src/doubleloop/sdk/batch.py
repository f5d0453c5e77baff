"""Batch endpoints, their deployments and invocations."""

from __future__ import annotations

from doubleloop.sdk import routes


class BatchEndpoints(routes.Routes):
    def put(self, document: routes.Body) -> routes.Body:
        return dict(self._post(body={"document": document}, repeatable=True))

    def list(self, limit: int | None = None) -> routes.Bodies:
        return self._list(limit=limit)

    def show(self, name: str) -> routes.Body:
        return dict(self._get(name))

    def delete(self, name: str) -> None:
        self._delete(name)

    def put_deployment(self, endpoint: str, document: routes.Body, set_default: bool = False) -> routes.Body:
        body = {"document": document, "set_default": set_default}
        return dict(self._post(endpoint, "deployments", body=body, repeatable=True))

    def deployments(self, endpoint: str, limit: int | None = None) -> routes.Bodies:
        return self._list(endpoint, "deployments", limit=limit)

    def deployment(self, endpoint: str, name: str) -> routes.Body:
        return dict(self._get(endpoint, "deployments", name))

    def delete_deployment(self, endpoint: str, name: str) -> None:
        self._delete(endpoint, "deployments", name)

    def invoke(self, endpoint: str, document: routes.Body, id_: str | None = None) -> routes.Body:
        """Start the job that scores what the invocation names. The same ``id_`` again gives the job it started."""
        body = {"document": document, "id": id_ or routes.new_id("job")}
        return dict(self._post(endpoint, "invoke", body=body, repeatable=True))

    def jobs(self, endpoint: str, deployment: str | None = None) -> routes.Bodies:
        return self._list(endpoint, "jobs", deployment=deployment)
