"use strict";
// The rows that are shown, by a search, the lasso or a tag: to be tagged, and their keys saved.

const CARDS = 60; // asked for at a time
const NOTHING = {keys: [], what: "", asked: 0, lost: 0};
let tags = null, spaceMap = null; // until the server has told of them
let chosen = NOTHING, found = NOTHING; // what is shown; what the last search found

function choose(keys, what, how) { // keys alone are known: their rows are asked for, some at a time
  turn();
  say("");
  chosen = {...NOTHING, keys, what, ...how};
  if (!chosen.lasso && spaceMap) spaceMap.clear();
  by("query").hidden = true;
  showCards([]);
  return showMore();
}

async function showMore() {
  const mine = chosen, keys = mine.keys.slice(mine.asked, mine.asked + CARDS);
  mine.asked += keys.length;
  showChosen();
  try {
    const {rows} = keys.length ? await askFor("/api/rows", {keys}) : {rows: []};
    if (mine !== chosen) return; // others were chosen meanwhile
    mine.lost += keys.length - rows.length;
    addCards(rows);
  } catch (error) {
    if (mine !== chosen) return;
    mine.asked -= keys.length;
    say(error.message, true);
  }
  showChosen();
}

function showFound(hits) {
  found = {...NOTHING, keys: hits.map(hit => hit.key), what: "found", asked: hits.length, hits};
  back();
}

function back() {
  chosen = found;
  if (spaceMap) spaceMap.clear();
  by("query").hidden = !found.hits;
  showCards(found.hits || []);
  showChosen();
}

function chooseTag(tag) {
  return choose([...tags.keys.get(tag)], `tagged ${tag}`, {tag});
}

function chooseWithin(rows) {
  if (!rows) return chosen.lasso && back(); // it was cleared
  const {data} = spaceMap, all = data.of > data.rows.length ? ` and ${data.of.toLocaleString()} in all` : "";
  const what = `within the lasso, of ${data.rows.length.toLocaleString()} on the map${all}`;
  return choose(rows.map(row => row.key), what, {lasso: true});
}

function showChosen() {
  const {keys, what, tag, asked, lost, hits} = chosen, gone = lost ? `; ${lost.toLocaleString()} not here any more` : "";
  by("chosen").hidden = !what;
  by("count").textContent = counted(keys.length, "row") + ` ${what}${gone}`;
  by("tag").disabled = by("add-tag").disabled = by("save-keys").disabled = !keys.length;
  by("untag").hidden = !tag;
  by("close").hidden = Boolean(hits);
  by("more").hidden = asked >= keys.length;
  by("more").textContent = `Show more (${asked.toLocaleString()} of ${keys.length.toLocaleString()} are shown)`;
  showTags();
}

function showTags() {
  const entries = tags ? [...tags.keys] : [];
  by("tags").hidden = !entries.length;
  by("tag-list").replaceChildren(...entries.map(([tag, keys]) => {
    const chip = Object.assign(document.createElement("button"), {type: "button"});
    chip.textContent = `${tag} (${keys.size.toLocaleString()})`;
    chip.onclick = () => tag === chosen.tag ? back() : chooseTag(tag);
    return press(chip, tag === chosen.tag);
  }));
  const names = entries.map(([value]) => Object.assign(document.createElement("option"), {value}));
  by("tag-names").replaceChildren(...names);
}

function onTags() {
  if (tags.lost) say("this browser keeps no more: tags last as long as this page; save them", true);
  [...by("hits").children].forEach(showTagsOf);
  const size = tags.keys.get(chosen.tag)?.size ?? 0;
  if (chosen.tag && size !== chosen.keys.length) size ? chooseTag(chosen.tag) : back();
  else showTags();
}

by("chosen").onsubmit = event => {
  event.preventDefault();
  const tag = by("tag").value.trim(), keys = chosen.keys;
  if (!tag || !tags) return;
  tags.add(tag, keys);
  by("tag").value = "";
  if (!tags.lost) say(`${counted(keys.length, "row")} tagged ${tag}`);
};
by("save-keys").onclick = () => save("keys.csv", [["key"], ...chosen.keys.map(key => [key])]);
by("save-tags").onclick = () => save("tags.csv", tags.table());
by("untag").onclick = () => {
  const {tag, keys} = chosen;
  if (confirm(`Remove the tag ${tag} from ${counted(keys.length, "row")}?`)) tags.remove(tag, keys);
};
by("close").onclick = back;
by("more").onclick = showMore;
