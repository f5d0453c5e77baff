"""Which addresses the server connects to on somebody's word: data URLs, webhooks, notifications, login providers.

Whoever may write an address into a file must not reach through it what only the server can reach: its own loopback,
the network it stands in, the metadata service of its cloud.
"""
