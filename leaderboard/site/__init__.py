"""The boards as static pages."""
