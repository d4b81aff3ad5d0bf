"""Generative adversarial networks in plain PyTorch. Knows no web, queue or database."""
