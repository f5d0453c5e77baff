"""What a server can be asked for, in the words of ``azure-ai-ml``: ``MLClient`` and its groups of operations."""
