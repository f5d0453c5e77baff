"""Command and pipeline jobs, from submit to done: which step runs when, with which inputs, and what it left behind.

A job is one durable workflow (``jobs.run``) that starts one more for each attempt of each step (``jobs.step``).
"""
