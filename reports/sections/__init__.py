"""The sections of a report, one file each: rows, printable table, Markdown."""
