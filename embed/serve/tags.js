"use strict";
// Tags of rows. This browser keeps them, under the name of the gallery; the server knows nothing of them.

class Tags {
  constructor(gallery, onChange) {
    Object.assign(this, {place: `huse tags ${gallery}`, onChange, lost: false});
    this.keys = this.read() || new Map(); // of each tag
    addEventListener("storage", event => { // another tab changed them
      if (event.key !== null && event.key !== this.place) return;
      this.keys = this.read() || new Map();
      this.onChange();
    });
  }

  read() {
    try {
      const entries = JSON.parse(localStorage.getItem(this.place) || "[]");
      return new Map(entries.map(([tag, keys]) => [String(tag), new Set(keys.map(String))]));
    } catch {
      return null; // no storage, or what is there is not of tags
    }
  }

  change(edit) {
    this.keys = (!this.lost && this.read()) || this.keys;
    edit(this.keys);
    this.keys.forEach((keys, tag) => keys.size || this.keys.delete(tag));
    try {
      localStorage.setItem(this.place, JSON.stringify([...this.keys].map(([tag, keys]) => [tag, [...keys]])));
      this.lost = false;
    } catch { // none allowed, or full
      this.lost = true;
    }
    this.onChange();
  }

  add(tag, keys) {
    this.change(all => all.set(tag, new Set([...(all.get(tag) || []), ...keys])));
  }

  remove(tag, keys) {
    this.change(all => keys.forEach(key => all.get(tag)?.delete(key)));
  }

  of(key) {
    return [...this.keys].filter(([, keys]) => keys.has(key)).map(([tag]) => tag);
  }

  table() {
    return [["key", "tag"], ...[...this.keys].flatMap(([tag, keys]) => [...keys].map(key => [key, tag]))];
  }
}
