"""AutoML for image classification: search, retrain, blend, submit, and know how good it is."""

__version__ = "0.1.0"
