"""Workspaces and registries: the places assets, jobs and endpoints live in, their kind, and their settings."""
