"""Models that read jets."""
