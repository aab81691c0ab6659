"""Models that read the observables of events."""
