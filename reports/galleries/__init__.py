"""Pictures of a report: grids of test images, and the gallery of the worst ones."""
