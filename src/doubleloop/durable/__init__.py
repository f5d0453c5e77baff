"""The only door to DBOS. Commands write an intent in their own transaction; the worker carries it out durably.

A workflow is a coroutine ``async def run(flow, argument)`` with named steps. A finished step is never repeated, a
started one may be: each step is written so that doing it twice does no harm.
"""
