"""Every type of fact there is, as ``docs/facts.md`` tells of them: what rules may hear."""

from __future__ import annotations

import difflib
import fnmatch

_VERBS = {
    "access": "denied",
    "activation": "ended refused requested started",
    "alert": "acknowledged reopened resolved silenced",
    "approval": "closed given glass_broken opened refused",
    "artifact": "read",
    "assignment": "created removed",
    "audit": "archived exported guard_restored",
    "batch_deployment": "created deleted",
    "batch_endpoint": "changed created deleted invoked",
    "budget": "alert changed removed",
    "bundle": "exported imported key_distrusted key_trusted made",
    "component": "archived created labelled restored",
    "compute": "changed removed",
    "content": "read",
    "contract": "broken changed created deleted refused",
    "data": "archived created labelled restored",
    "datastore": "changed removed",
    "deployment": "created deleted failed plan_disagreed ready replaced starting",
    "endpoint": "changed created deleted key_regenerated keys_read traffic",
    "environment": "built created imported labelled",
    "evidence": "deposited",
    "group": "changed removed",
    "inference": "read",
    "job": "cancel_requested cancelled changed completed failed retried started submitted",
    "labeling": "closed created deleted exported imported labelled not_exported not_synced pushed reviewed synced",
    "log": "read",
    "model": "archived created labelled registered restored unlabelled",
    "monitor": "alert changed completed created deleted disabled enabled failed requested resolved",
    "notification": "changed failed removed sent",
    "policy": "changed removed",
    "principal": "created deleted disabled enabled",
    "release": (
        "approved baked bundled cancelled candidate completed defined end_requested expired failed judged "
        "not_started promoted rejected rolled_back rolling_out signature_inferred stage_entered stage_served "
        "started superseded traffic waiting"
    ),
    "rule": "changed created deleted done failed fired loop_stopped skipped",
    "schedule": "changed created deleted disabled enabled failed",
    "secret": "deleted given renewed revealed written",
    "session": "ended",
    "setup": "applied destroyed",
    "step": "cancelled completed failed reused skipped started",
    "token": "created revoked",
    "tracking": "changed",
    "training": "proposed",
    "user": "created disabled enabled linked password_set unlinked",
    "workspace": "changed created removed",
}
TYPES = frozenset(f"{noun}.{verb}" for noun, verbs in _VERBS.items() for verb in verbs.split())


def heard(pattern: str) -> list[str]:
    """The types that a pattern means (``*`` is any part), in the order of the alphabet."""
    return sorted(each for each in TYPES if fnmatch.fnmatchcase(each, pattern))


def near(pattern: str) -> list[str]:
    """Types that may have been meant."""
    return difflib.get_close_matches(pattern, sorted(TYPES), 3)
