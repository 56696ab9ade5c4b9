"""A headless Chromium of the machine's own, with flags that keep it off the network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


@contextmanager
def chromium(profile: Path, *flags: str, dark: bool = False, size: tuple[int, int] = (900, 1000)) -> Iterator[Chrome]:
    """Start a browser with an empty profile; skip the test where there is none."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver:
        pytest.skip("Chromium and its driver are not installed (Debian: chromium, chromium-driver).")
    options = ChromeOptions()
    options.binary_location = browser
    for flag in [*_FLAGS, f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}", *flags]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = Chrome(options=options, service=ChromeService(driver))
    try:
        found.set_page_load_timeout(60)
        if dark:
            features = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
            found.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
        yield found
    finally:
        found.quit()
