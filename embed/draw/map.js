"use strict";
// A map of points on a canvas: drag to move, wheel to zoom, hover to see, click to choose, legend to hide.
// data: {points: [[x, y, isImage, row], ...] from 0 to 1, rows: [{key, label, caption, group, thumb}, ...],
//        legend: [[name, color], ...]}

function drawMap(box, data, onClick) {
  const canvas = document.createElement("canvas"), tip = document.createElement("div");
  const legend = document.createElement("div");
  tip.className = "map-tip";
  legend.className = "map-legend";
  box.append(canvas, tip, legend);
  const pen = canvas.getContext("2d"), color = new Map(data.legend), hidden = new Set();
  let scale = 1, left = 0, top = 0, width = 0, height = 0, plot = 0, dragged = null, moved = false, current = null;
  const shows = [true, true];

  const place = ([x, y]) => [
    (0.03 + 0.94 * x) * width * scale + left,
    (0.03 + 0.94 * y) * plot * scale + top,
  ];
  const visible = point => shows[point[2]] && !hidden.has(data.rows[point[3]].group);

  function paint() {
    pen.clearRect(0, 0, width, height);
    for (const point of data.points) {
      if (!visible(point)) continue;
      const [x, y] = place(point);
      if (x < -9 || y < -9 || x > width + 9 || y > height + 9) continue;
      pen.beginPath();
      pen.arc(x, y, point === current ? 9 : 5, 0, 7);
      const ink = color.get(data.rows[point[3]].group);
      if (point[2]) { pen.strokeStyle = ink; pen.lineWidth = 2.5; pen.stroke(); }
      else { pen.fillStyle = ink; pen.globalAlpha = 0.75; pen.fill(); pen.globalAlpha = 1; }
    }
  }

  function resize() {
    const ratio = window.devicePixelRatio || 1;
    [width, height] = [box.clientWidth, box.clientHeight];
    plot = height - legend.offsetHeight;
    [canvas.width, canvas.height] = [width * ratio, height * ratio];
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint();
  }

  function nearest(event) {
    const edge = canvas.getBoundingClientRect(), x = event.clientX - edge.left, y = event.clientY - edge.top;
    let best = null, closest = 14 * 14;
    for (const point of data.points) {
      if (!visible(point)) continue;
      const [a, b] = place(point), distance = (a - x) ** 2 + (b - y) ** 2;
      if (distance < closest) [best, closest] = [point, distance];
    }
    return best;
  }

  function show(point, event) {
    current = point;
    tip.style.display = point ? "block" : "none";
    if (!point) return;
    const row = data.rows[point[3]], edge = box.getBoundingClientRect();
    tip.replaceChildren();
    if (row.thumb) tip.append(Object.assign(new Image(), {src: row.thumb, alt: row.key}));
    const line = (tag, words) => tip.append(Object.assign(document.createElement(tag), {textContent: words}));
    line("b", point[2] ? "image" : "text");
    line("span", row.caption || row.key);
    line("small", row.label);
    tip.style.left = Math.min(event.clientX - edge.left + 14, width - 230) + "px";
    tip.style.top = Math.min(event.clientY - edge.top + 14, height - 150) + "px";
  }

  canvas.onpointerdown = event => {
    dragged = [event.clientX, event.clientY];
    moved = false;
    canvas.setPointerCapture(event.pointerId);
  };
  canvas.onpointerup = event => {
    dragged = null;
    const point = nearest(event);
    if (!moved && point && onClick) onClick(data.rows[point[3]], Boolean(point[2]));
  };
  canvas.onpointermove = event => {
    if (dragged) {
      const [x, y] = dragged;
      moved ||= Math.abs(event.clientX - x) + Math.abs(event.clientY - y) > 3;
      [left, top, dragged] = [left + event.clientX - x, top + event.clientY - y, [event.clientX, event.clientY]];
    }
    show(nearest(event), event);
    paint();
  };
  canvas.onpointerleave = event => { show(null, event); paint(); };
  canvas.onwheel = event => {
    event.preventDefault();
    const edge = canvas.getBoundingClientRect(), x = event.clientX - edge.left, y = event.clientY - edge.top;
    const factor = Math.min(Math.max(scale * Math.exp(-event.deltaY / 400), 1), 40) / scale;
    [scale, left, top] = [scale * factor, x - (x - left) * factor, y - (y - top) * factor];
    if (scale === 1) [left, top] = [0, 0];
    paint();
  };

  function toggle(words, ink, on, change) {
    const button = Object.assign(document.createElement("button"), {type: "button", textContent: words});
    button.style.setProperty("--ink", ink);
    button.setAttribute("aria-pressed", "true");
    button.onclick = () => {
      button.setAttribute("aria-pressed", String(change()));
      paint();
    };
    legend.append(button);
  }
  toggle("○ images", "#444", true, () => (shows[1] = !shows[1]));
  toggle("● texts", "#444", true, () => (shows[0] = !shows[0]));
  for (const [name, ink] of data.legend) {
    toggle(name, ink, true, () => (hidden.delete(name) ? true : (hidden.add(name), false)));
  }
  new ResizeObserver(resize).observe(box);
}
