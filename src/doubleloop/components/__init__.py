"""Registered components: a step or pipeline that others use by name and version, from a workspace or a registry.

What is kept is the whole component as its file said, with its code's address and its conda file; ``inlined`` puts it
into a job in place of the reference, so that everything after reads one kind of document.
"""
