"""The HTTP API and MLflow's proxy: parse, one call, print. docs/http-api.md is its contract."""
