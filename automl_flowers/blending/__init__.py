"""From the best recipes to a submission: retrain, predict, blend, write."""
