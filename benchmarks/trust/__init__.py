"""Is it true: the gate, verification, comparison, claims."""
