"""Calorimeter showers as tasks and models see them."""
