"""A run's whole ensemble as one model, for programs without this package."""
