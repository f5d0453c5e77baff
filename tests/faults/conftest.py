"""The project below is what the tests release; its own tests are run by the release."""

from __future__ import annotations

collect_ignore_glob = ["project/*"]
