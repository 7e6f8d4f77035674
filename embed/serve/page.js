"use strict";
const by = id => document.getElementById(id);
let last = null; // the query shown: {text}, {file} or {key, modality, caption, image}

function options() {
  const name = by("class").value.trim();
  return {gallery: document.querySelector("[name=gallery]:checked").value, classes: name ? [name] : []};
}

async function ask(path, request) {
  const response = await fetch(path, request);
  const body = await response.json();
  if (response.status === 202) return null; // it is still being made
  if (!response.ok) throw new Error(typeof body.detail === "string" ? body.detail : "the server refused this");
  return body;
}

async function search(query) {
  last = query;
  say("searching …");
  try {
    let reply;
    if (query.file) {
      const form = new FormData(), {gallery, classes} = options();
      form.append("image", query.file);
      form.append("gallery", gallery);
      classes.forEach(name => form.append("classes", name));
      reply = await ask("/api/search/image", {method: "POST", body: form});
    } else {
      const {text, key, modality} = query;
      reply = await ask("/api/search", {
        method: "POST",
        headers: {"Content-Type": "application/json"},
        body: JSON.stringify({text, key, modality, ...options()}),
      });
    }
    if (last !== query) return; // a later search has begun
    showQuery(query, reply.classes);
    showHits(reply.hits);
    say(reply.hits.length ? "" : "nothing found; try another class");
  } catch (error) {
    if (last === query) say(error.message, true);
  }
}

function say(words, isError = false) {
  by("status").textContent = words;
  by("status").classList.toggle("error", isError);
}

function showQuery(query, classes) {
  const box = by("query"), words = document.createElement("div"), list = document.createElement("ul");
  box.replaceChildren();
  const image = query.file ? URL.createObjectURL(query.file) : query.modality === "image" && query.image;
  if (image) box.append(Object.assign(new Image(), {src: image, alt: "the query"}));
  words.append(Object.assign(document.createElement("b"), {textContent: query.text || query.caption || "your image"}));
  for (const {label, probability} of classes) {
    const line = document.createElement("li");
    line.textContent = `${label} ${(100 * probability).toFixed(0)} %`;
    list.append(line);
  }
  words.append(list);
  box.append(words);
  box.hidden = false;
}

function showHits(hits) {
  by("hits").replaceChildren(...hits.map(hit => {
    const item = by("hit").content.cloneNode(true), image = item.querySelector("img");
    image.onerror = () => { image.hidden = true; };
    if (hit.image) Object.assign(image, {src: hit.image, alt: hit.key, hidden: false});
    item.querySelector(".caption").textContent = hit.caption || hit.key;
    item.querySelector(".label").textContent = hit.label;
    item.querySelector(".score").textContent = hit.score.toFixed(3);
    item.querySelector("button").onclick = () => searchFrom(hit, hit.has_image);
    return item;
  }));
}

function searchFrom(row, isImage) {
  const image = row.image || row.thumb;
  search({key: row.key, modality: isImage ? "image" : "text", caption: row.caption || row.key, image});
  scrollTo({top: 0, behavior: "smooth"});
}

by("form").onsubmit = event => {
  event.preventDefault();
  const text = by("text").value.trim();
  if (text) search({text});
};
by("file").onchange = event => {
  if (event.target.files.length) search({file: event.target.files[0]});
  event.target.value = "";
};
by("gallery").onchange = () => last && search(last);
by("class").onchange = () => last && search(last);

addEventListener("dragover", event => { event.preventDefault(); document.body.classList.add("dropping"); });
addEventListener("dragleave", event => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
addEventListener("drop", event => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (event.dataTransfer.files.length) search({file: event.dataTransfer.files[0]});
});
addEventListener("paste", event => {
  if (event.clipboardData.files.length) search({file: event.clipboardData.files[0]});
});

by("show-map").onclick = async () => {
  const box = by("map");
  box.hidden = !box.hidden;
  by("show-map").setAttribute("aria-pressed", String(!box.hidden));
  if (box.hidden || box.childElementCount || box.dataset.loading) return;
  box.dataset.loading = "yes";
  try {
    let data;
    while (!(data = await ask("/api/map"))) {
      say("the map is being drawn; searches are answered meanwhile …");
      await new Promise(done => setTimeout(done, 1000));
    }
    drawMap(box, data, searchFrom);
    say("");
  } catch (error) {
    say(error.message, true);
  }
  delete box.dataset.loading;
};

async function tellWhatThereIs() {
  let info = await ask("/api/info");
  const choices = [...document.querySelectorAll("[name=gallery]")];
  choices.forEach(choice => { choice.disabled = !info.galleries.includes(choice.value); });
  if (!choices.some(choice => choice.checked && !choice.disabled)) {
    choices.filter(choice => !choice.disabled).slice(0, 1).forEach(choice => { choice.checked = true; });
  }
  const names = new Set();
  for (const {label} of info.classes) {
    label.split("/").forEach((_, i, parts) => names.add(parts.slice(0, i + 1).join("/")));
  }
  by("classes").replaceChildren(...[...names].sort().map(value => Object.assign(document.createElement("option"), {value})));
  const rows = `${info.rows.toLocaleString()} rows of ${info.classes.length} classes`;
  while (!info.ready) {
    if (!last) say(`${rows}; getting ready …`);
    await new Promise(done => setTimeout(done, 500));
    info = await ask("/api/info");
  }
  if (!last) say([rows, ...info.problems].join("; "));
}

tellWhatThereIs().catch(error => say(error.message, true));
