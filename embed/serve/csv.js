"use strict";
// Tables as RFC 4180 has them, made and saved by the browser alone.

function csv(lines) {
  const cell = text => /^$|^\s|\s$|[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  return lines.map(cells => cells.map(cell).join(",") + "\r\n").join("");
}

function save(name, lines) {
  const address = URL.createObjectURL(new Blob([csv(lines)], {type: "text/csv;charset=utf-8"}));
  Object.assign(document.createElement("a"), {href: address, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
  say(`${name}: ${counted(lines.length - 1, "line")}${warningOfFormulas(lines.slice(1))}`);
}

function warningOfFormulas(lines) { // they stay as they are: a key that was changed would name no row
  const some = lines.flat().filter(text => /^[=+\-@\t\r]/.test(text)).length;
  return some ? `, and ${counted(some, "cell")} that a spreadsheet takes for formulas: import the file as text` : "";
}
