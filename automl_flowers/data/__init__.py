"""From photographs to batches: sources, manifest, cache, augmentation, pipeline."""
