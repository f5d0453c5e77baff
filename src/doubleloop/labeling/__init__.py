"""Labelling projects: people are asked what a model was worst at, and what they say becomes a new data version.

A project is made of a file and a data version. Its items are handed out one by one, in the order of its queue, each for
a time. What people say is a row with who and when, and is never changed: a later row stands over an earlier one. The
state of an item follows from its rows (``rules``), the state of the project from its items.
"""
