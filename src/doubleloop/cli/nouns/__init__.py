"""One module a noun, each with its verbs as ``GROUP``; light to import, so that ``--help`` is quick."""
