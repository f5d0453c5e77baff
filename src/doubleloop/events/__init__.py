"""Facts: what happened, by whom, when; an append-only log in which each entry seals the one before it.

A room writes its fact in the same transaction as its change; whoever stands higher reads the log.
"""
