"""The embedded samples: small, versioned, digest-checked files."""
