"use strict";
// Rows as cards; a click on one searches from it.

function card(row) {
  const item = by("card").content.cloneNode(true).firstElementChild, image = item.querySelector("img");
  item.dataset.key = row.key;
  image.onerror = () => { image.hidden = true; };
  if (row.image) Object.assign(image, {src: row.image, alt: row.key, hidden: false});
  item.querySelector(".caption").textContent = row.caption || row.key;
  item.querySelector(".label").textContent = row.label;
  if (row.score !== undefined) item.querySelector(".score").textContent = row.score.toFixed(3);
  item.querySelector("button").onclick = () => searchFrom(row, row.has_image);
  showTagsOf(item);
  return item;
}

function showTagsOf(item) {
  const chips = (tags ? tags.of(item.dataset.key) : []).map(tag => {
    const chip = Object.assign(document.createElement("button"), {type: "button", textContent: `${tag} ×`});
    chip.setAttribute("aria-label", `Remove the tag ${tag}`);
    chip.onclick = () => tags.remove(tag, [item.dataset.key]);
    return chip;
  });
  item.querySelector(".tags").replaceChildren(...chips);
}

function showCards(rows) {
  by("hits").replaceChildren(...rows.map(card));
}

function addCards(rows) {
  by("hits").append(...rows.map(card));
}
