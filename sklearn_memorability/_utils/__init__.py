"""What every room may use: files, locks, fingerprints, extras, errors, walks through models."""
