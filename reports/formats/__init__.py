"""Output formats: Markdown, LaTeX, CSV, HTML, numbers, inline images."""
