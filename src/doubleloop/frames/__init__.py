"""Files and folders of tables, read in one way: by the server, wherever it computes, and by people's programs."""
