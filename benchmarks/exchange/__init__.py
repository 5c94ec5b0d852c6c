"""Images, outputs and weights that come from other programs or go to them."""
