"""MLflow, behind our own door: runs, metrics, artifacts, registrations. MLflow's code is never imported here."""
