"""Models that read the hits of whole events."""
