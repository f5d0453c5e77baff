"""Speaking with a server: where it is, its routes as methods, what must be uploaded first, following what runs."""
