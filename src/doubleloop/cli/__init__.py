"""The command line: ``az ml``'s grammar without its prefix. Parses, makes one call, prints; imports no server room."""
