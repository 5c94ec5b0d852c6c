"""The figures of a report, as matplotlib panels."""
