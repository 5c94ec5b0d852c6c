"""Ellipsoid phantoms of the trunk, in CT and MR."""
