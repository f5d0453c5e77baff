"""The ground floor: ids, time, hashes, errors, verdicts, paging. Standard library only; imports no other room."""
