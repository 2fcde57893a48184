"""AutoML for image classification: search, retrain, blend, submit, and say how good it really is."""

__version__ = "0.1.0"
