"use strict";
// What lies within a line drawn by hand, which closes itself: all that it goes round, also where it crosses itself.

function isWithin([x, y], corners) {
  let turns = 0;
  corners.forEach(([toX, toY], i) => {
    const [fromX, fromY] = corners.at(i - 1);
    const side = (toX - fromX) * (y - fromY) - (x - fromX) * (toY - fromY);
    if (fromY <= y && toY > y && side > 0) turns += 1;
    if (fromY > y && toY <= y && side < 0) turns -= 1;
  });
  return turns !== 0;
}
