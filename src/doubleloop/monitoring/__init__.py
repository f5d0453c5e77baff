"""Watching what production does: signals over windows of the inference log, alerts that open once and close again."""
