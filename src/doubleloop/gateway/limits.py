"""Limits of one gateway process: each with its unit and why it has this default."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Limits:
    # A request of 10 MiB is about 100,000 rows of ten numbers; more belongs to a batch endpoint.
    max_body_bytes: int = 10 * 1024 * 1024
    max_rows: int = 10_000
    # Nested JSON costs stack and time to walk; tables need 3 levels, images as lists 5.
    max_depth: int = 32
    max_header_bytes: int = 32 * 1024
    # How many requests may wait per instance, in all processes; how long they may is a setting of the deployment.
    queue_per_instance: int = 128
    # Seconds a client may take to send one request, and may keep an idle connection.
    read_timeout: float = 30.0
    keep_alive: float = 75.0
    # Seconds in which a caller has to read 64 KiB of what waits for it: a slower one holds memory and a model.
    write_timeout: float = 30.0
    # What all pieces of a streamed answer may hold: they are kept for the log until its end.
    max_stream_bytes: int = 16 * 1024 * 1024
    # Seconds a scorer may take to load its model, and to answer after its caller has been told 504.
    start_timeout: float = 180.0
    stuck_after: float = 30.0
    # Resident bytes that one scorer may hold; beyond it is ended and started anew. 0 is no limit.
    max_scorer_bytes: int = 0
    # Seconds of lower load before a deployment that scales gives instances back; Kubernetes' autoscaler waits as long.
    scale_down_after: float = 300.0
    # Seconds in-flight requests get when the gateway or a deployment stops.
    drain_timeout: float = 30.0
    # The log's segments become Parquet after this many rows, bytes or seconds, whichever is first.
    rotate_rows: int = 50_000
    rotate_bytes: int = 32 * 1024 * 1024
    rotate_seconds: float = 60.0
    # Seconds of answered requests that a power loss may cost (a crash of the process costs none).
    fsync_interval: float = 1.0

    def shared(self, processes: int) -> Limits:
        """Those of each of so many processes."""
        return replace(self, queue_per_instance=-(-self.queue_per_instance // processes))
