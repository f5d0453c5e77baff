"""Secrets of a workspace: named, versioned, kept encrypted or in HashiCorp Vault, given to what runs by reference only.

The database knows names, versions and who wrote them; a value is with the ``Safe``. It leaves it when somebody who may
asks to see it, or when a step or a deployment that names it starts; both are facts.
"""
