"""What every room may use: writing files, locks, fingerprints, walking through models."""
