"""The data doctor: everything that is wrong with a dataset, in one go, before anything is trained."""
