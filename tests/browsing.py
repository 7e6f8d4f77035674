"""Chromium, driven by tests."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
NEEDS_BROWSER = [
    pytest.mark.slow,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium and chromedriver on the path"),
]


def open_browser(profile: Path, downloads: Path) -> Any:
    """A browser without a window, that saves without asking."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.binary_location = str(CHROMIUM)
    for flag in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync", "disable-dev-shm-usage", "window-size=1280,900",
        f"user-data-dir={profile}",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=str(DRIVER)))


def wait_for(browser: Any, condition: Any) -> Any:
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 30, poll_frequency=0.1).until(condition)


def find(browser: Any, selector: str) -> list[Any]:
    return browser.find_elements("css selector", selector)  # type: ignore[no-any-return]


def texts(browser: Any, selector: str) -> list[str]:
    """What some elements say, all at one moment: elements are replaced while searches come in."""
    script = "return [...document.querySelectorAll(arguments[0])].map(element => element.textContent.trim())"
    return browser.execute_script(script, selector)  # type: ignore[no-any-return]


def severe(browser: Any) -> list[Any]:
    """What went wrong in the page, or was kept from it by its policy."""
    return [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def saved(browser: Any, file: Path) -> list[list[str]]:
    """The lines of a CSV file that the browser saves, which is then removed."""
    wait_for(browser, lambda _: file.exists() and file.stat().st_size)
    lines = list(csv.reader(file.read_text(encoding="utf-8").splitlines(keepends=True)))
    file.unlink()
    return lines
