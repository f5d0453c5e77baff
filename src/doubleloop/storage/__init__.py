"""Bytes at a hash: blobs (files) and trees (folders), stored once, never changed."""
