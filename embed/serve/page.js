"use strict";
// What all scripts of the page share: its elements, its one line of news, and the server.

const by = id => document.getElementById(id);
const counted = (n, noun) => `${n.toLocaleString()} ${noun}${n === 1 ? "" : "s"}`;

function say(words, isError = false) {
  by("status").textContent = words;
  by("status").classList.toggle("error", isError);
}

async function ask(path, request) {
  const response = await fetch(path, request), body = await response.json();
  if (!response.ok) throw new Error(typeof body.detail === "string" ? body.detail : "the server refused this");
  return body; // with {ready: false, detail} while it is being made
}

function askFor(path, body) {
  return ask(path, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
}

function press(button, pressed) {
  button.setAttribute("aria-pressed", String(pressed));
  return button;
}
