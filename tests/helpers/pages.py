"""HTML pages in tests: hostile text, parsed elements, the DOM of a browser."""

import os
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = os.environ.get("CGBENCH_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
needs_browser = pytest.mark.skipif(not BROWSER, reason=f"none of {', '.join(BROWSERS)} is on the PATH")
HOSTILE = "<script>alert(1)</script>\"'&$x$"


class Collector(HTMLParser):
    """Parser that collects the elements of a page, its ids and the text of its headings."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.ids, self.headings, self.inside = [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.ids.extend(value for name, value in attributes if name == "id")
        self.inside = tag

    def handle_data(self, data):
        if self.inside == "h2":
            self.headings.append(data.strip())
        self.inside = None

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def dom(text: str, folder: Path) -> str:
    """Return the DOM of a page, as HTML, after a browser has loaded it."""
    (target := folder / "page.html").write_text(text, encoding="utf-8")
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
        "--disable-component-update", "--disable-sync", f"--user-data-dir={folder / 'profile'}", "--dump-dom",
        target.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
