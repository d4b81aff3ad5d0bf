"""The SDK: train GANs as jobs on a Ganymede service and draw images from them."""
