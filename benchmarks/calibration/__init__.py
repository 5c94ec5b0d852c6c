"""Calibration of failure detectors: thresholds set on real images of the dataset, and whether they find a control."""
