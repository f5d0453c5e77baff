"""Settings: the only reader of the process environment. Each setting says its unit, its default and why."""
