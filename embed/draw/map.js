"use strict";
// A map of points on a canvas: drag to move, wheel, pinch or buttons to zoom, hover to see, click to choose, legend to
// hide, and a lasso to choose many, after its button or with Shift; Esc clears it.
// data: {points: [[x, y, isImage, row], ...] from 0 to 1, rows: [{key, label, caption, group, thumb}, ...],
//        legend: [[name, color], ...]}
// onClick(row, isImage); onLasso(the visible rows within) or onLasso(null) when it is cleared; both may be left out.

function drawMap(box, data, onClick, onLasso) {
  return new SpaceMap(box, data, onClick, onLasso);
}

class SpaceMap {
  constructor(box, data, onClick = () => {}, onLasso = null) {
    Object.assign(this, {box, data, onClick, onLasso, view: new View(), color: new Map(data.legend)});
    Object.assign(this, {shows: [true, true], hidden: new Set(), pointers: new Map(), current: null, moved: false});
    Object.assign(this, {line: null, corners: null, within: null}); // being drawn; drawn; points in it
    this.canvas = this.add("canvas", {tabIndex: -1}); // not in the order of keys, but Esc is heard after a click
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `Map of ${data.rows.length} rows`);
    this.tip = this.add("div", {className: "map-tip"});
    this.legend = this.add("div", {className: "map-legend"});
    this.tools = this.add("div", {className: "map-tools"});
    this.pen = this.canvas.getContext("2d");
    this.addLegend();
    this.addTools();
    this.listen();
    new ResizeObserver(() => this.resize()).observe(box);
  }

  add(tag, properties, parent = this.box) {
    const made = Object.assign(document.createElement(tag), properties);
    parent.append(made);
    return made;
  }

  // --- what is seen

  visible(point) {
    return this.shows[point[2]] && !this.hidden.has(this.data.rows[point[3]].group);
  }

  resize() {
    const ratio = window.devicePixelRatio || 1, {clientWidth: width, clientHeight: height} = this.box;
    Object.assign(this.view, {width, height: height - this.legend.offsetHeight});
    Object.assign(this.canvas, {width: width * ratio, height: height * ratio});
    this.pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.paint();
  }

  paint() {
    const {clientWidth: width, clientHeight: height} = this.box;
    this.pen.clearRect(0, 0, width, height);
    for (const point of this.data.points) {
      const [x, y] = this.view.place(point);
      if (x > -9 && y > -9 && x < width + 9 && y < height + 9 && this.visible(point)) this.paintPoint(point, x, y);
    }
    this.paintLasso();
  }

  paintPoint(point, x, y) {
    const {pen} = this, ink = this.color.get(this.data.rows[point[3]].group);
    const strength = this.within && !this.within.has(point) ? 0.15 : 1;
    pen.beginPath();
    pen.arc(x, y, point === this.current ? 9 : 5, 0, 7);
    pen.globalAlpha = strength * (point[2] ? 1 : 0.75);
    if (point[2]) Object.assign(pen, {strokeStyle: ink, lineWidth: 2.5}).stroke();
    else Object.assign(pen, {fillStyle: ink}).fill();
    pen.globalAlpha = 1;
  }

  paintLasso() {
    const corners = this.line || this.corners, {pen} = this;
    if (!corners) return;
    pen.beginPath();
    corners.forEach(corner => pen.lineTo(...this.view.place(corner)));
    if (!this.line) pen.closePath();
    Object.assign(pen, {strokeStyle: "#2f5bd7", lineWidth: 2, fillStyle: "#2f5bd71a"}).stroke();
    pen.fill();
  }

  showTip(point, [x, y]) {
    this.current = point;
    this.tip.style.display = point ? "block" : "none";
    if (!point) return;
    const row = this.data.rows[point[3]];
    this.tip.replaceChildren();
    if (row.thumb) this.add("img", {src: row.thumb, alt: row.key}, this.tip);
    this.add("b", {textContent: point[2] ? "image" : "text"}, this.tip);
    this.add("span", {textContent: row.caption || row.key}, this.tip);
    this.add("small", {textContent: row.label}, this.tip);
    this.tip.style.left = Math.max(0, Math.min(x + 14, this.view.width - 230)) + "px";
    this.tip.style.top = Math.max(0, Math.min(y + 14, this.view.height - 130)) + "px";
  }

  // --- what is chosen

  nearest([x, y]) {
    let best = null, closest = 14 * 14;
    for (const point of this.data.points) {
      if (!this.visible(point)) continue;
      const [a, b] = this.view.place(point), distance = (a - x) ** 2 + (b - y) ** 2;
      if (distance < closest) [best, closest] = [point, distance];
    }
    return best;
  }

  choose() {
    if (!this.corners) return;
    this.within = new Set(this.data.points.filter(point => this.visible(point) && isWithin(point, this.corners)));
    this.clearing.hidden = false;
    const rows = new Set([...this.within].map(point => point[3]));
    this.onLasso([...rows].sort((a, b) => a - b).map(row => this.data.rows[row]));
  }

  clear() {
    if (!this.corners && !this.line) return;
    const told = this.corners;
    [this.line, this.corners, this.within] = [null, null, null];
    this.clearing.hidden = true;
    this.paint();
    if (told) this.onLasso(null);
  }

  // --- pointers: one moves the map, or draws; two zoom it

  listen() {
    const at = event => {
      const edge = this.canvas.getBoundingClientRect();
      return [event.clientX - edge.left, event.clientY - edge.top];
    };
    this.canvas.onpointerdown = event => this.press(event, at(event));
    this.canvas.onpointermove = event => this.drag(event, at(event));
    this.canvas.onpointerup = event => this.release(event, at(event));
    this.canvas.onpointercancel = event => { this.pointers.delete(event.pointerId); this.line = null; this.paint(); };
    this.canvas.onpointerleave = event => { this.showTip(null, at(event)); this.paint(); };
    this.canvas.onmousedown = event => { if (event.shiftKey) event.preventDefault(); }; // it would select words
    this.canvas.onwheel = event => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 400), at(event));
    };
    addEventListener("keydown", event => {
      if (event.key === "Escape" && !/^(INPUT|TEXTAREA)$/.test(event.target.tagName)) this.clear();
    });
  }

  press(event, place) {
    if (event.button) return;
    this.canvas.focus({preventScroll: true});
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, place);
    if (this.pointers.size === 1) this.moved = false;
    const draws = this.onLasso && (event.shiftKey || this.lasso.getAttribute("aria-pressed") === "true");
    this.line = draws && this.pointers.size === 1 ? [this.view.point(place)] : null;
  }

  drag(event, place) {
    const before = this.pointers.get(event.pointerId);
    const least = this.moved && !this.line ? 1 : 3; // pixels
    if (before && Math.hypot(place[0] - before[0], place[1] - before[1]) < least) return;
    if (before) {
      this.moved = true;
      if (this.line) this.line.push(this.view.point(place));
      else if (this.pointers.size === 1) this.view.move(place[0] - before[0], place[1] - before[1]);
      else this.pinch(event.pointerId, before, place);
      this.pointers.set(event.pointerId, place);
    }
    this.showTip(this.line ? null : this.nearest(place), place);
    this.paint();
  }

  pinch(id, before, place) {
    const [, other] = [...this.pointers].find(([key]) => key !== id);
    const away = ([x, y]) => Math.max(Math.hypot(x - other[0], y - other[1]), 1);
    this.view.zoom(away(place) / away(before), other);
  }

  release(event, place) {
    if (!this.pointers.delete(event.pointerId)) return;
    const {line, moved} = this, point = this.nearest(place);
    this.line = null;
    if (line && moved && line.length > 2) {
      this.corners = line;
      this.choose();
    } else if (!moved && point) {
      this.onClick(this.data.rows[point[3]], Boolean(point[2]));
    }
    this.paint();
  }

  zoom(factor, place = [this.view.width / 2, this.view.height / 2]) {
    this.view.zoom(factor, place);
    this.paint();
  }

  // --- buttons

  addTools() {
    const button = (textContent, title, onclick) =>
      this.add("button", {type: "button", textContent, title, onclick}, this.tools);
    this.clearing = button("Clear", "Clear the lasso (Esc)", () => this.clear());
    this.lasso = button("Lasso", "Draw around rows to see just these (or drag with Shift)", () => {
      this.lasso.setAttribute("aria-pressed", String(this.lasso.getAttribute("aria-pressed") !== "true"));
    });
    this.lasso.setAttribute("aria-pressed", "false");
    [this.clearing.hidden, this.lasso.hidden] = [true, !this.onLasso];
    button("+", "Zoom in", () => this.zoom(1.5)).ariaLabel = "Zoom in";
    button("−", "Zoom out", () => this.zoom(1 / 1.5)).ariaLabel = "Zoom out";
  }

  addLegend() {
    this.addToggle("○ images", "#444", () => (this.shows[1] = !this.shows[1]));
    this.addToggle("● texts", "#444", () => (this.shows[0] = !this.shows[0]));
    for (const [name, ink] of this.data.legend) {
      this.addToggle(name, ink, () => (this.hidden.delete(name) ? true : (this.hidden.add(name), false)));
    }
  }

  addToggle(words, ink, change) {
    const button = this.add("button", {type: "button", textContent: words}, this.legend);
    button.style.setProperty("--ink", ink);
    button.setAttribute("aria-pressed", "true");
    button.onclick = () => {
      button.setAttribute("aria-pressed", String(change()));
      this.choose();
      this.paint();
    };
  }
}
