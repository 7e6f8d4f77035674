"use strict";
// What happens when the page is opened, and the map, which the server has drawn or draws meanwhile.

const after = milliseconds => new Promise(done => setTimeout(done, milliseconds));

by("show-map").onclick = async () => {
  const box = by("map");
  box.hidden = !box.hidden;
  press(by("show-map"), !box.hidden);
  if (box.hidden || spaceMap || box.dataset.loading) return;
  box.dataset.loading = "yes";
  try {
    const data = await loadMap(), shown = data.rows.length;
    spaceMap = drawMap(box, data, searchFrom, chooseWithin);
    say(shown < data.of ? `the map shows ${shown.toLocaleString()} of ${counted(data.of, "row")}, drawn at random` : "");
  } catch (error) {
    say(error.message, true);
    box.hidden = true;
    press(by("show-map"), false);
  }
  delete box.dataset.loading;
};

async function loadMap() {
  while (true) {
    const data = await ask("/api/map");
    if (data.ready !== false) return data;
    say(`${data.detail}; searches are answered meanwhile`);
    await after(1000);
  }
}

async function tellWhatThereIs() {
  let info = await ask("/api/info");
  tags = new Tags(info.gallery, onTags);
  onTags();
  offerGalleries(info.galleries);
  offerClasses(info.classes);
  const rows = `${counted(info.rows, "row")} of ${info.classes.length} classes`;
  while (!info.ready) {
    if (!last) say(`${rows}; getting ready …`);
    await after(500);
    info = await ask("/api/info");
  }
  if (!last) say([rows, ...info.problems].join("; "));
}

function offerGalleries(names) {
  const choices = [...document.querySelectorAll("[name=gallery]")];
  choices.forEach(choice => { choice.disabled = !names.includes(choice.value); });
  if (!choices.some(choice => choice.checked && !choice.disabled)) {
    choices.filter(choice => !choice.disabled).slice(0, 1).forEach(choice => { choice.checked = true; });
  }
}

function offerClasses(classes) {
  const names = new Set();
  for (const {label} of classes) {
    label.split("/").forEach((_, i, parts) => names.add(parts.slice(0, i + 1).join("/")));
  }
  by("classes").replaceChildren(...[...names].sort().map(value => Object.assign(document.createElement("option"), {value})));
}

tellWhatThereIs().catch(error => say(error.message, true));
