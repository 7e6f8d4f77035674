"use strict";
// Where points from 0 to 1 in both directions lie on a canvas that is moved and zoomed.

class View {
  constructor() {
    Object.assign(this, {scale: 1, left: 0, top: 0, width: 0, height: 0});
  }

  place([x, y]) {
    return [
      (0.03 + 0.94 * x) * this.width * this.scale + this.left,
      (0.03 + 0.94 * y) * this.height * this.scale + this.top,
    ];
  }

  point([left, top]) {
    return [
      ((left - this.left) / (this.width * this.scale) - 0.03) / 0.94,
      ((top - this.top) / (this.height * this.scale) - 0.03) / 0.94,
    ];
  }

  move(x, y) {
    this.left += x;
    this.top += y;
  }

  zoom(factor, [x, y]) { // what lies at x, y stays there
    const scale = Math.min(Math.max(this.scale * factor, 1), 40), change = scale / this.scale;
    [this.scale, this.left, this.top] = [scale, x - (x - this.left) * change, y - (y - this.top) * change];
    if (scale === 1) [this.left, this.top] = [0, 0];
  }
}
