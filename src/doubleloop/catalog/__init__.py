"""Names, versions, labels and lineage of everything that is kept: an asset version never changes once it is there."""
