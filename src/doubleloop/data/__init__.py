"""The data estate: versions of files and folders that never change, labels that move over them, and reading them."""
