"""Reports: tables, figures, image grids and one HTML page made of a run's records. Never imports torch."""
