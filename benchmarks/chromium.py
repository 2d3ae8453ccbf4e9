"""Chromium, as the page of a report is tried and measured in it: fresh, and without a network.

    python -m benchmarks.chromium

says where it is, and ends with 1 where there is none.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

_NAMES = (
    *("chromium", "google-chrome", "google-chrome-stable", "chromium-browser"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
_OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    "--host-resolver-rules=MAP * ~NOTFOUND",  # nothing outside this machine is found
)
NONE = (
    "no Chromium is here, in which the page of `report` is tried: `make browser` installs Debian's "
    "package; elsewhere install Chromium or Chrome"
)


class NoChromiumError(Exception):
    """There is none, and how to get one."""


def find() -> str | None:
    """The path of Chromium or Chrome."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


@contextmanager
def launched(*options: str) -> Iterator[Browser]:
    """A browser with no past; raises NoChromiumError."""
    path = find()
    if path is None:
        raise NoChromiumError(NONE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*_OPTIONS, *options])
        try:
            yield browser
        finally:
            browser.close()


if __name__ == "__main__":
    sys.exit(print(find()) if find() else 1)
