"""Signing in to the web app, and how its pages are looked at: axe-core's findings, their width, pictures of them."""

from __future__ import annotations

import time
from pathlib import Path

from meeting_page import PATIENCE_MS, OpenPage
from playwright.sync_api import Page

from roomtone.control.accounts.totp import hotp, secret_bytes, step_at

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "web/node_modules/axe-core/axe.min.js"
SHOTS = ROOT / "artefacts/screens"
BAD = {"moderate", "serious", "critical"}
"""Findings that do not pass; what stands outside the landmarks is a moderate one."""
SIZES = {"wide": (1280, 800), "phone": (390, 844)}


def sign_in(open_page: OpenPage, to: str, login: str = "admin", password: str = "secret") -> Page:
    """Sign in by the form, and come to a page."""
    page = open_page(f"/account/?next={to}")
    page.set_default_timeout(PATIENCE_MS)
    page.get_by_label("User name or mail address").fill(login)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    return page


def one_time(secret: str, later: int = 0) -> str:
    """What an authenticator app shows, now or some steps later."""
    return hotp(secret_bytes(secret), step_at(time.time()) + later)


def findings(page: Page) -> list[str]:
    """What axe-core finds that is more than minor."""
    page.add_script_tag(path=str(AXE))
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] }).then(all => all.violations)")
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found if one["impact"] in BAD]


def fits(page: Page) -> bool:
    """Whether nothing stands out of the page to the right."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def look(page: Page, name: str) -> None:
    """Hold a page to what axe-core finds and to its width, on a desk and on a phone, dark and light; keep pictures."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            page.screenshot(path=SHOTS / f"{name}-{size}-{scheme}.png", full_page=True)
            found = findings(page)
            assert found == [], (name, size, scheme, found)
            assert fits(page), (name, size)
    page.set_viewport_size({"width": 1280, "height": 800})
