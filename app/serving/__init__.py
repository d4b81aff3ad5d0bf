"""From a checkpoint and a seed to the bytes of an image."""
