"""The processes: what `doubleloop up` starts, watches, restarts and stops."""
