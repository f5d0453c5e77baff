"""Looking at what comes in before it is used: model files for pickles that run code, packages for known advisories.

Nothing here executes what it looks at, and what could not be looked at is never called clean.
"""
