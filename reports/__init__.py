"""Reports: records in, tables, figures, picture grids and one HTML page out. Never imports torch."""
