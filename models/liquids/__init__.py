"""Models that read particle configurations of liquids."""
