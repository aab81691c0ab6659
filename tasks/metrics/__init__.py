"""Metrics: pure functions of (targets, predictions), each defined once."""
