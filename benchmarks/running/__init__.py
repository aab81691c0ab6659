"""One run: from names to a record."""
