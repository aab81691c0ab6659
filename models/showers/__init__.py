"""Models that generate calorimeter showers."""
