"""The page in a real browser: typing, dropping an image, clicking, filtering, the map."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from browsing import NEEDS_BROWSER, find, severe, texts, wait_for
from samples import read_csv

from huse.embed.serve.searcher import Searcher

pytestmark = NEEDS_BROWSER


def labels(browser: Any) -> list[str]:
    return texts(browser, "#hits .label")


DROP = """
const bytes = Uint8Array.from(atob(arguments[0]), c => c.charCodeAt(0)), transfer = new DataTransfer();
transfer.items.add(new File([bytes], "dropped.png", {type: "image/png"}));
document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
"""


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
    assert severe(browser) == []


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
    assert severe(browser) == []


def test_the_command_names_a_port_that_is_taken(address: str, searcher: Searcher, tmp_path: Path) -> None:
    port = int(address.rstrip("/").rsplit(":", 1)[1])
    code = (
        "import sys; from huse.embed.serve.serve import run_server; from huse.features.errors import ServeError\n"
        "try: run_server([], '127.0.0.1', int(sys.argv[1]), 1, print)\n"
        "except ServeError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(port)], capture_output=True, text=True, check=True)
    assert f"127.0.0.1:{port} cannot be had (Address already in use); give another port (--port)" in done.stdout
