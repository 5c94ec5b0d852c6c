"""Building blocks of methods: networks, initial weights, image pool, trainable model. This package imports torch."""
