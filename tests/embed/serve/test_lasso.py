"""Rows chosen with a lasso on the map, tagged and saved, in a real browser of any width."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

from browsing import NEEDS_BROWSER, find, saved, severe, texts, wait_for
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_actions import PointerActions
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.keys import Keys

pytestmark = NEEDS_BROWSER


def open_map(browser: Any) -> None:
    if not find(browser, "#map canvas"):
        find(browser, "#show-map")[0].click()
        wait_for(browser, lambda b: find(b, "#map canvas"))
    browser.execute_script("document.querySelector('#map').scrollIntoView({block: 'center'})")
    wait_for(browser, lambda b: b.execute_script("return spaceMap.view.width > 0"))


POINTS = """const {left, top} = spaceMap.canvas.getBoundingClientRect();
return spaceMap.data.points.map(point => {
    const [x, y] = spaceMap.view.place(point), row = spaceMap.data.rows[point[3]];
    return {x: x + left, y: y + top, key: row.key, image: point[2]}})"""


def draw(browser: Any, corners: list[tuple[float, float]], kind: str = "mouse") -> None:
    """Moves a pointer along a line, pressed."""
    actions = ActionBuilder(browser, mouse=PointerInput(kind, kind), duration=20)
    actions.pointer_action.move_to_location(*map(round, corners[0])).pointer_down()
    for corner in corners[1:]:
        actions.pointer_action.move_to_location(*map(round, corner))
    actions.pointer_action.pointer_up()
    actions.perform()


def left_half(browser: Any, kind: str = "mouse") -> tuple[list[str], int]:
    """Draws around some left part of the map; the keys of rows with a point in there, in order, and how many rows."""
    places = browser.execute_script(POINTS)
    xs, ys = sorted(p["x"] for p in places), [p["y"] for p in places]
    i = max(range(len(xs) // 4, 3 * len(xs) // 4), key=lambda i: xs[i] - xs[i - 1])
    assert xs[i] - xs[i - 1] > 1, "a line of whole pixels has room"
    middle, low, high = (xs[i] + xs[i - 1]) / 2, min(ys) - 5, max(ys) + 5
    draw(browser, [(xs[0] - 5, low), (middle, low), (middle, high), (xs[0] - 5, high)], kind)
    within = {p["key"] for p in places if p["x"] < middle}
    return [key for key in dict.fromkeys(p["key"] for p in places) if key in within], len({p["key"] for p in places})


def shown_keys(browser: Any) -> list[str]:
    return browser.execute_script("return [...document.querySelectorAll('#hits li')].map(item => item.dataset.key)")  # type: ignore[no-any-return]


def test_a_lasso_shows_just_these_rows_to_be_tagged_and_saved(address: str, browser: Any, downloads: Path) -> None:
    browser.get(address)
    find(browser, "#text")[0].send_keys("wild animal\n")
    wait_for(browser, lambda b: len(shown_keys(b)) == 24)
    hits = shown_keys(browser)
    open_map(browser)
    find(browser, ".map-tools [aria-pressed]")[0].click()
    keys, rows = left_half(browser)
    assert 0 < len(keys) < rows == 42
    wait_for(browser, lambda b: shown_keys(b) == keys)
    assert texts(browser, "#count") == [f"{len(keys)} rows within the lasso, of 42 on the map"]
    find(browser, "#save-keys")[0].click()
    assert saved(browser, downloads / "keys.csv") == [["key"], *([key] for key in keys)]

    odd = '<img src=x onerror="alert(1)">, "odd"'
    for tag in (odd, "=second"):
        find(browser, "#tag")[0].send_keys(f"{tag}\n")
    assert texts(browser, "#tag-list button") == [f"{odd} ({len(keys)})", f"=second ({len(keys)})"]
    find(browser, "#hits li .tags button")[1].click()
    browser.execute_script("document.activeElement.blur()")
    find(browser, "body")[0].send_keys(Keys.ESCAPE)
    wait_for(browser, lambda b: shown_keys(b) == hits)
    assert not find(browser, ".map-tools button")[0].is_displayed(), "there is no lasso to clear any more"

    browser.get(address)
    wait_for(browser, lambda b: texts(b, "#tag-list button") == [f"{odd} ({len(keys)})", f"=second ({len(keys) - 1})"])
    find(browser, "#tag-list button")[1].click()
    wait_for(browser, lambda b: shown_keys(b) == keys[1:])
    find(browser, "#save-tags")[0].click()
    lines = saved(browser, downloads / "tags.csv")
    assert lines == [["key", "tag"], *([key, odd] for key in keys), *([key, "=second"] for key in keys[1:])]
    assert f"{len(keys) - 1} cells that a spreadsheet takes for formulas" in texts(browser, "#status")[0]
    find(browser, "#untag")[0].click()
    browser.switch_to.alert.accept()
    wait_for(browser, lambda b: texts(b, "#tag-list button") == [f"{odd} ({len(keys)})"])
    assert severe(browser) == []


def test_the_legend_says_what_a_lasso_takes(address: str, browser: Any) -> None:
    browser.get(address)
    open_map(browser)
    find(browser, ".map-tools [aria-pressed]")[0].click()
    keys, _ = left_half(browser)
    wait_for(browser, lambda b: shown_keys(b) == keys)
    find(browser, ".map-legend button")[0].click()
    script = "return [...spaceMap.within].map(point => [point[2], spaceMap.data.rows[point[3]].key])"
    within = browser.execute_script(script)
    assert {image for image, _ in within} == {0}, "images are hidden"
    wait_for(browser, lambda b: set(shown_keys(b)) == {key for _, key in within})


def test_tags_outlast_their_rows_and_a_browser_that_keeps_nothing(address: str, browser: Any) -> None:
    browser.get(address)
    browser.execute_script("localStorage.clear()")
    browser.get(address)
    wait_for(browser, lambda b: b.execute_script("return tags !== null"))
    browser.execute_script("tags.add('gone', ['nobody', arguments[0]])", "none either")
    find(browser, "#tag-list button")[0].click()
    wait_for(browser, lambda b: texts(b, "#count") == ["2 rows tagged gone; 2 not here any more"])
    browser.execute_script("Storage.prototype.setItem = () => { throw new Error('full') }; tags.add('more', ['a'])")
    assert "this browser keeps no more" in texts(browser, "#status")[0]
    assert texts(browser, "#tag-list button") == ["gone (2)", "more (1)"]
    browser.execute_script("localStorage.clear()")


def test_two_fingers_zoom_the_map(address: str, browser: Any) -> None:
    browser.get(address)
    open_map(browser)
    script = "const e = spaceMap.canvas.getBoundingClientRect(); return [e.left + e.width / 2, e.top + e.height / 2]"
    x, y = map(round, browser.execute_script(script))
    left = PointerInput("touch", "left")
    fingers = ActionBuilder(browser, mouse=left, duration=20)
    for one, way in ((left, -1), (fingers.add_pointer_input("touch", "right"), 1)):
        finger = PointerActions(one, duration=20)
        finger.move_to_location(x + 40 * way, y).pointer_down().move_to_location(x + 80 * way, y).pointer_up()
    fingers.perform()
    assert browser.execute_script("return spaceMap.view.scale") > 1.5


WIDE = """return [...document.querySelectorAll("button, a, input, .button, fieldset label")].filter(element =>
    element.offsetParent && !element.closest(".map-legend") && !["file", "radio"].includes(element.type)
).map(element => {
    const {left, right, height} = element.getBoundingClientRect();
    return [element.outerHTML.slice(0, 60), left, right, height]})"""


def test_the_page_works_on_a_narrow_screen(address: str, browser: Any) -> None:
    metrics = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        browser.get(address)
        open_map(browser)
        find(browser, ".map-tools [aria-pressed]")[0].click()
        keys, _ = left_half(browser, "touch")
        wait_for(browser, lambda b: shown_keys(b) == keys)
        find(browser, "#tag")[0].send_keys("a tag of a name that is rather long for a screen\n")
        wait_for(browser, lambda b: find(b, "#hits .tags button"))
        assert browser.execute_script("return document.documentElement.scrollWidth") == 360
        for element, left, right, height in browser.execute_script(WIDE):
            assert (left >= 0, right <= 360, height >= 40) == (True, True, True), element
    finally:
        browser.execute_script("localStorage.clear()")
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


CORNERS = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=3, max_size=9)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(corners=CORNERS, places=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1))
def test_within_a_lasso_is_what_it_goes_round(
    address: str, browser: Any, corners: list[tuple[int, int]], places: list[tuple[int, int]]
) -> None:
    points = [(x + 0.503, y + 0.487) for x, y in places]
    assume(all(turn_of(point, corners) is not None for point in points))
    if browser.current_url != address:
        browser.get(address)
    script = "return arguments[0].map(point => isWithin(point, arguments[1]))"
    assert browser.execute_script(script, points, corners) == [turn_of(point, corners) != 0 for point in points]


def turn_of(point: tuple[float, float], corners: list[tuple[int, int]]) -> int | None:
    """How often corners go round a point, by the sum of the angles it sees them under; None when it is on a line."""
    angles = [math.atan2(y - point[1], x - point[0]) for x, y in corners]
    steps = [math.remainder(b - a, math.tau) for a, b in zip(angles, [*angles[1:], angles[0]], strict=True)]
    return None if any(math.pi - abs(step) < 1e-6 for step in steps) else round(sum(steps) / math.tau)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2, max_size=2)))
def test_tables_are_read_as_they_were_written(address: str, browser: Any, lines: list[list[str]]) -> None:
    if browser.current_url != address:
        browser.get(address)
    written = browser.execute_script("return csv(JSON.parse(arguments[0]))", json.dumps(lines))
    assert list(csv.reader(io.StringIO(written, newline=""), strict=True)) == lines
