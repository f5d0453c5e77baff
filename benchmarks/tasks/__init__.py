"""What the components of the catalog reach on real data, beside a naive answer: ``make bench-tasks``."""
