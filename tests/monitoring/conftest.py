from __future__ import annotations

from typing import Any

import pytest
from monitoring_watch import Watch

from doubleloop.monitoring import store as _store  # noqa: F401  (declares its tables before the house is built)


@pytest.fixture
def watch(house: Any) -> Watch:
    return Watch(house)
