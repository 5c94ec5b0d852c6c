"""Evaluation: test images to outputs to numbers, with inference, scorer and feature extractors."""
