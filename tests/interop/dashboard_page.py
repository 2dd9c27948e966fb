"""The dashboard, driven by what an operator sees."""

from __future__ import annotations

from playwright.sync_api import Page


def open_room(page: Page, room: str) -> None:
    page.locator(f"[data-room='{room}'] button").click()
    page.locator(f"[data-detail='{room}']").wait_for()


def agree(page: Page) -> None:
    """Say yes to the next question."""
    page.once("dialog", lambda dialog: dialog.accept())


def go(page: Page, part: str) -> None:
    page.get_by_role("navigation", name="Parts of the dashboard").get_by_role("link", name=part, exact=True).click()
