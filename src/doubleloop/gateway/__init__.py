"""The front of online serving: a process of its own that checks, routes, scores and logs every request.

It follows ``<home>/serving/desired.json``, owns the scorer processes, and keeps the inference log. Other rooms use
``protocol`` (what should run, what runs) and ``log`` (what was answered), nothing else.
"""
