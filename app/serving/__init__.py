"""From a checkpoint and a seed to the bytes of an image."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when ONNX Runtime is loaded: else it tells its makers of each use
