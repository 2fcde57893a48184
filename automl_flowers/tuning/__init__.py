"""The search: which recipes to train, for how long, and what came of it."""
