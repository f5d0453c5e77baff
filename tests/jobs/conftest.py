from __future__ import annotations

from typing import Any

import pytest
from jobs_workshop import Workshop


@pytest.fixture
def shop(house: Any) -> Workshop:
    return Workshop(house)
