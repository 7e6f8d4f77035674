"use strict";
// Searches by words, images and rows.

let last = null, turns = 0; // last: the query, {text}, {file} or {key, modality, caption, image}

function turn() { // what was begun before is not shown any more
  return ++turns;
}

function options() {
  const name = by("class").value.trim();
  return {gallery: document.querySelector("[name=gallery]:checked").value, classes: name ? [name] : []};
}

async function search(query) {
  const mine = turn();
  last = query;
  say("searching …");
  try {
    const reply = await (query.file ? askByImage(query.file) : askByWords(query));
    if (mine !== turns) return;
    showQuery(query, reply.classes);
    showFound(reply.hits);
    say(reply.hits.length ? "" : "nothing found; try another class");
  } catch (error) {
    if (mine === turns) say(error.message, true);
  }
}

function askByImage(file) {
  const form = new FormData(), {gallery, classes} = options();
  form.append("image", file);
  form.append("gallery", gallery);
  classes.forEach(name => form.append("classes", name));
  return ask("/api/search/image", {method: "POST", body: form});
}

function askByWords({text, key, modality}) {
  return askFor("/api/search", {text, key, modality, ...options()});
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
