"""Building blocks of methods: networks, initial weights, the image pool. This package imports torch."""
