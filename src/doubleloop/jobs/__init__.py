"""Jobs of every kind, from submit to done: which step runs when, with which inputs, and what it left behind.

A job is one durable workflow (``jobs.run``) that starts one more for each attempt of each step: ``jobs.step`` for one
that runs a process, ``jobs.group`` for one that is made of steps (a pipeline within a pipeline, a loop, a sweep).
"""
