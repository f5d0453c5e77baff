"""One file per kind of document: its fields, their types and what each of them means."""
