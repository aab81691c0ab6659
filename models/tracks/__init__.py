"""Models that read the hits of one track."""
