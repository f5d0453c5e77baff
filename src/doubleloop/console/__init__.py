"""Web pages: what people look at and decide on, rendered here, with no build step and no other host. They stand on the
same commands and queries as the HTTP API, which they do not know."""
