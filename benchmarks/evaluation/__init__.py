"""From test images to outputs to numbers: inference, scorer, feature extractors."""
