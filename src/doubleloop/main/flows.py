"""Every durable workflow of every room, and what looks for those that died."""

from __future__ import annotations

from doubleloop.automation import labels, telling
from doubleloop.automation import workflows as automation_workflows
from doubleloop.durable import ports as durable
from doubleloop.endpoints import unfinished as unfinished_deployments
from doubleloop.endpoints import workflows as endpoint_workflows
from doubleloop.jobs import unfinished as unfinished_jobs
from doubleloop.jobs import workflows as job_workflows
from doubleloop.labeling import syncing
from doubleloop.monitoring import unfinished as unfinished_monitoring
from doubleloop.monitoring import workflows as monitoring_workflows
from doubleloop.releases import unfinished as unfinished_releases
from doubleloop.releases import workflows as release_workflows


def workflows() -> dict[str, durable.Body]:
    """Every durable workflow by its frozen name."""
    return {
        **automation_workflows.WORKFLOWS,
        **telling.WORKFLOWS,
        **labels.WORKFLOWS,
        **syncing.WORKFLOWS,
        **endpoint_workflows.WORKFLOWS,
        **job_workflows.WORKFLOWS,
        **monitoring_workflows.WORKFLOWS,
        **release_workflows.WORKFLOWS,
    }


def searches() -> tuple[durable.Search, ...]:
    """What of each room only a workflow can end. Jobs come first: what is higher waits for them."""
    return (
        unfinished_jobs.search,
        unfinished_deployments.search,
        unfinished_monitoring.search,
        unfinished_releases.search,
    )
