"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  // A page of thousands of images is slow to open and to sort. So the whole list is there
  // only for readers without scripts; to others it is text, of which a part is shown.
  const template = document.createElement("template");
  template.innerHTML = byId("plain").textContent;
  const items = Array.from(template.content.querySelectorAll("li"), (node) => {
    const { name, path, ...numbers } = node.dataset;
    const item = { node, name, text: `${name}\n${path}`.toLocaleLowerCase() };
    for (const key in numbers) item[key] = Number(numbers[key]);
    item.error = item.predicted - item.true;
    item.size = Math.abs(item.error);
    return item;
  });
  const PART = 60;
  const [list, more, sort, direction, status, words, controls] =
    ["list", "more", "sort", "direction", "status", "words", "controls"].map(byId);
  const limits = Array.from(controls.querySelectorAll("[type=number]"));
  const collator = new Intl.Collator(undefined, { numeric: true });
  let shown = items;
  let drawn = 0;
  let descending = true;

  function arrange() {
    const key = sort.value;
    const sign = descending ? -1 : 1;
    const compare = key === "name"
      ? (a, b) => collator.compare(a.name, b.name) : (a, b) => a[key] - b[key];
    items.sort((a, b) => sign * compare(a, b) || a.row - b.row);
    const { up, down } = sort.selectedOptions[0].dataset;
    direction.textContent = descending ? down : up;
    filter();
  }

  function filter() {
    const sought = words.value.trim().toLocaleLowerCase();
    const tests = limits.filter((input) => input.value !== "").map((input) => {
      const [key, end] = input.id.split("-");
      // Scores are shown rounded, and a score is within a limit that reads the same.
      const rounded = (item) => Number(item[key].toFixed(controls.dataset.decimals));
      return end === "from" ? (item) => rounded(item) >= input.value
        : (item) => rounded(item) <= input.value;
    });
    shown = items.filter((item) => item.text.includes(sought) && tests.every((test) => test(item)));
    list.replaceChildren();
    drawn = 0;
    draw(PART);
    const count = shown.length === items.length ? "" : `${shown.length.toLocaleString("en")} of `;
    status.textContent = `${count}${items.length.toLocaleString("en")} images, sorted by `
      + `${sort.selectedOptions[0].textContent}, ${direction.textContent}`;
  }

  function draw(count) {
    const part = shown.slice(drawn, drawn + count);
    part.forEach(({ node }, i) => {
      node.setAttribute("aria-setsize", shown.length);
      node.setAttribute("aria-posinset", drawn + i + 1);
    });
    list.append(...part.map(({ node }) => node));
    drawn += part.length;
    more.hidden = drawn === shown.length;
  }

  more.addEventListener("click", () => {
    const next = shown[drawn].node;
    draw(drawn);
    next.tabIndex = -1;
    next.focus({ preventScroll: true });
  });
  window.addEventListener("beforeprint", () => draw(shown.length));
  sort.addEventListener("change", () => {
    descending = !["name", "row"].includes(sort.value);
    arrange();
  });
  direction.addEventListener("click", () => {
    descending = !descending;
    arrange();
  });
  controls.addEventListener("input", (event) => event.target !== sort && filter());
  controls.addEventListener("submit", (event) => event.preventDefault());
  byId("clear").addEventListener("click", () => {
    for (const input of [words, ...limits]) input.value = "";
    filter();
  });
  controls.hidden = false;
  arrange();
})();
