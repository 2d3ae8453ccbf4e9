"""A window of a browser, and what goes wrong in it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page


@dataclass
class Visit:
    """A window, and what went wrong in it: lines on the console, errors, requests that failed, and
    those that leave the machine."""

    page: Page
    troubles: list[str] = field(default_factory=list)

    def open(self, file: Path, address: str = "") -> Page:
        """`address` is what follows the name of the file."""
        self.page.goto(file.as_uri() + address)
        return self.page


@contextmanager
def visiting(browser: Browser, **options: Any) -> Iterator[Visit]:
    """A window that nobody used before."""
    with closing(browser.new_context(**options)) as context:
        page = context.new_page()
        visit = Visit(page)
        note = visit.troubles.append
        page.set_default_timeout(10_000)
        page.on("console", lambda message: note(message.text))
        page.on("pageerror", lambda error: note(str(error)))
        page.on("dialog", lambda dialog: note(dialog.message))
        page.on("requestfailed", lambda request: note(f"failed: {request.url[:200]}"))
        page.on(
            "request",
            lambda request: request.url.startswith(("file:", "data:")) or note(request.url),
        )
        yield visit


def tile(page: Page, key: str) -> Locator:
    """The tile of an image in the gallery of a report."""
    return page.locator(f".tile[data-key='{key}']")
