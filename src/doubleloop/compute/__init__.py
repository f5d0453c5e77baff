"""Where job steps run: one small port (start, poll, wait, cancel, logs) and its implementations.

``local`` runs steps as processes of this machine through the runner; ``fake`` plays them from a script.
"""
