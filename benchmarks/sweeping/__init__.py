"""Many cells: planned, run side by side, resumed."""
