"""Published segmentation networks that a user names as the scorer: their description, their weights, the network."""
