"""The page in a real browser: typing, dropping an image, clicking, filtering, the map."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from samples import read_csv

from huse.embed.serve.searcher import Searcher
from huse.embed.serve.serve import run_server

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium and chromedriver on the path"),
]

DROP = """
const bytes = Uint8Array.from(atob(arguments[0]), c => c.charCodeAt(0)), transfer = new DataTransfer();
transfer.items.add(new File([bytes], "dropped.png", {type: "image/png"}));
document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
"""


@pytest.fixture(scope="module")
def address(searcher: Searcher) -> str:
    """The server in a thread of this process, which goes away with it."""
    said: list[str] = []
    told = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        told.set()

    threading.Thread(target=run_server, args=(searcher, "127.0.0.1", 0, 10**6, say), daemon=True).start()
    assert told.wait(30)
    found = re.search(r"http://\S+", said[0])
    assert found
    return found.group(0)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync", "disable-dev-shm-usage", "window-size=1280,900",
        f"user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=str(DRIVER)))
    yield driver
    driver.quit()


def wait_for(browser: Any, condition: Any) -> Any:
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 30, poll_frequency=0.1).until(condition)


def find(browser: Any, selector: str) -> list[Any]:
    return browser.find_elements("css selector", selector)  # type: ignore[no-any-return]


def texts(browser: Any, selector: str) -> list[str]:
    """What some elements say, all at one moment: elements are replaced while searches come in."""
    script = "return [...document.querySelectorAll(arguments[0])].map(element => element.textContent.trim())"
    return browser.execute_script(script, selector)  # type: ignore[no-any-return]


def labels(browser: Any) -> list[str]:
    return texts(browser, "#hits .label")


def test_a_person_searches(address: str, browser: Any, few_emoji: Path) -> None:
    import base64

    browser.get(address)
    wait_for(browser, lambda b: "42 rows of 3 classes" in texts(b, "#status")[0])
    find(browser, "#text")[0].send_keys("wild animal\n")
    wait_for(browser, lambda b: len(labels(b)) == 24)
    assert labels(browser)[:5] == ["animals & nature/animal mammal"] * 5
    assert (
        wait_for(browser, lambda b: b.execute_script("return document.querySelector('#hits img').naturalWidth")) == 64
    )
    assert "animals & nature/animal mammal" in texts(browser, "#query li")[0]

    fruit = next(row for row in read_csv(few_emoji) if row["label"].endswith("fruit"))
    data = (few_emoji.parent / fruit["image"]).read_bytes()
    browser.execute_script(DROP, base64.b64encode(data).decode())
    wait_for(browser, lambda b: texts(b, "#query b") == ["your image"])
    assert texts(browser, "#query li")[0].startswith("food & drink/food fruit")
    assert labels(browser)[:5] == ["food & drink/food fruit"] * 5

    box = find(browser, "#class")[0]
    box.send_keys("flags\t")
    wait_for(browser, lambda b: set(labels(b)) == {"flags/country flag"})
    caption = texts(browser, "#hits .caption")[2]
    find(browser, "#hits button")[2].click()
    wait_for(browser, lambda b: texts(b, "#query b") == [caption])
    box.clear()
    box.send_keys("\t")
    find(browser, "[name=gallery][value=text]")[0].click()
    wait_for(browser, lambda b: len(labels(b)) == 24)

    find(browser, "#show-map")[0].click()
    wait_for(browser, lambda b: find(b, "#map canvas"))
    assert len(texts(browser, ".map-legend button")) == 5
    script = "const c = document.querySelector('#map canvas'); return c.width * c.height"
    assert wait_for(browser, lambda b: b.execute_script(script)) > 100_000
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []


def test_the_api_page_opens_without_a_network(address: str, browser: Any) -> None:
    browser.get(f"{address}docs")
    wait_for(browser, lambda b: "/api/search/image" in b.execute_script("return document.body.textContent"))


def test_a_map_page_draws_itself(browser: Any, searcher: Searcher, few_emoji: Path, tmp_path: Path) -> None:
    from huse.embed.draw.map_page import write_map_page
    from huse.features.rows import concatenate

    write_map_page(concatenate(searcher.shards), few_emoji.parent, tmp_path / "map.html", projection="pca")
    browser.get((tmp_path / "map.html").as_uri())
    ink = """const c = document.querySelector("canvas");
    const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
    let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n"""
    assert wait_for(browser, lambda b: find(b, "canvas") and b.execute_script(ink)) > 1000
    assert [e for e in browser.get_log("browser") if e["level"] == "SEVERE"] == []


def test_the_command_names_a_port_that_is_taken(address: str, searcher: Searcher, tmp_path: Path) -> None:
    port = int(address.rstrip("/").rsplit(":", 1)[1])
    code = (
        "import sys; from huse.embed.serve.serve import run_server; from huse.features.errors import ServeError\n"
        "try: run_server([], '127.0.0.1', int(sys.argv[1]), 1, print)\n"
        "except ServeError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(port)], capture_output=True, text=True, check=True)
    assert f"127.0.0.1:{port} cannot be had (Address already in use); give another port (--port)" in done.stdout
