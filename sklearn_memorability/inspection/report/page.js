"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const list = byId("list");
  const more = byId("more");
  // A page of thousands of pictures is slow to open and to sort. So the whole list is
  // there only for readers without scripts; to others it is text, a line a picture, of
  // which a part is shown and the rest as it is asked for.
  const cards = byId("plain").textContent.split("\n").filter((line) => line.startsWith("<li"));
  const facts = JSON.parse(byId("facts").textContent);
  const PART = 120;
  const items = facts.row.map((row, place) => {
    const item = { row, place, card: cards[place], node: null };
    for (const key of ["name", "path", "predicted", "true", "width"]) item[key] = facts[key]?.[place];
    item.error = item.predicted - item.true;
    item.size = Math.abs(item.error);
    item.text = (item.name + "\n" + item.path).toLocaleLowerCase();
    return item;
  });
  const collator = new Intl.Collator(undefined, { numeric: true });
  const sort = byId("sort");
  const direction = byId("direction");
  const status = byId("status");
  const words = byId("words");
  const limits = ["predicted", "true"].filter((key) => byId(key + "-from"));
  // Scores are shown rounded, and a score is within a limit that reads the same.
  const half = 0.5000001 * 10 ** -facts.decimals;
  let shown = items;
  let drawn = 0;
  let descending = true;

  const ascends = () => ["name", "row"].includes(sort.value);
  const order = () => {
    if (sort.value === "name") return descending ? "Z to A" : "A to Z";
    if (sort.value === "row") return descending ? "Last first" : "First first";
    if (["size", "width"].includes(sort.value)) return descending ? "Largest first" : "Smallest first";
    return descending ? "Highest first" : "Lowest first";
  };

  function arrange() {
    const key = sort.value;
    const sign = descending ? -1 : 1;
    const compare = key === "name"
      ? (a, b) => sign * collator.compare(a.name, b.name) || a.row - b.row
      : (a, b) => sign * (a[key] - b[key]) || a.row - b.row;
    items.sort(compare);
    direction.textContent = order();
    filter();
  }

  function filter() {
    const sought = words.value.trim().toLocaleLowerCase();
    const ranges = limits.map((key) => {
      const [from, to] = ["-from", "-to"].map((end) => byId(key + end).value);
      return [key, from === "" ? -Infinity : from - half, to === "" ? Infinity : +to + half];
    });
    shown = items.filter((item) => item.text.includes(sought)
      && ranges.every(([key, from, to]) => item[key] >= from && item[key] <= to));
    list.replaceChildren();
    drawn = 0;
    draw(PART);
    const by = sort.selectedOptions[0].textContent;
    const total = `${items.length.toLocaleString("en")} picture${items.length === 1 ? "" : "s"}`;
    const count = shown.length === items.length
      ? total : `${shown.length.toLocaleString("en")} of ${total}`;
    status.textContent = `${count}, sorted by ${by.toLocaleLowerCase()}, `
      + `${order().replace(/^[A-Z](?=[a-z])/, (c) => c.toLowerCase())}.`;
  }

  function node(item) {
    if (!item.node) {
      const template = document.createElement("template");
      template.innerHTML = item.card;
      item.node = template.content.firstChild;
      const button = item.node.querySelector("button");
      button.disabled = false;
      button.setAttribute("aria-haspopup", "dialog");
      button.addEventListener("click", () => show(item));
    }
    return item.node;
  }

  function draw(count) {
    const part = shown.slice(drawn, drawn + count);
    part.forEach((item, i) => {
      node(item).setAttribute("aria-setsize", shown.length);
      item.node.setAttribute("aria-posinset", drawn + i + 1);
    });
    list.append(...part.map((item) => item.node));
    drawn += part.length;
    more.hidden = drawn === shown.length;
  }

  const viewer = byId("viewer");
  let current = null;

  function show(item) {
    const picture = node(item).querySelector("img");
    current = item;
    byId("viewer-name").firstChild.textContent = item.name;
    byId("viewer-picture").src = picture.src;
    byId("viewer-picture").alt = picture.alt;
    byId("viewer-path").firstChild.textContent = item.path;
    byId("viewer-path").hidden = !item.path;
    byId("viewer-scores").replaceChildren(
      ...Array.from(item.node.querySelector("dl").children, (pair) => pair.cloneNode(true)));
    const shares = facts.proba?.[item.place] ?? [];
    byId("viewer-classes").hidden = shares.length === 0;
    byId("viewer-classes").tBodies[0].replaceChildren(...shares.map((share, k) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      const cell = document.createElement("td");
      const bar = document.createElement("progress");
      head.scope = "row";
      head.textContent = facts.classes[k];
      bar.max = 100;
      bar.value = Number(share);
      bar.setAttribute("aria-hidden", "true");
      cell.append(bar, ` ${share}`);
      row.append(head, cell);
      return row;
    }));
    if (!viewer.open) viewer.showModal();
  }

  function step(by) {
    const place = shown.indexOf(current);
    show(shown[(place + by + shown.length) % shown.length]);
  }

  more.addEventListener("click", () => {
    const next = shown[drawn];
    draw(PART);
    next.node.querySelector("button").focus();
  });
  new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting) && !more.hidden) draw(PART);
  }, { rootMargin: "1200px" }).observe(more);
  window.addEventListener("beforeprint", () => draw(shown.length));
  viewer.addEventListener("click", (event) => {
    if (event.target === viewer) viewer.close();
  });
  viewer.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
  });
  viewer.addEventListener("close", () => {
    draw(Math.max(0, shown.indexOf(current) + 1 - drawn));
    current.node.querySelector("button").focus();
  });
  byId("close").addEventListener("click", () => viewer.close());
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));

  sort.addEventListener("change", () => {
    descending = !ascends();
    arrange();
  });
  direction.addEventListener("click", () => {
    descending = !descending;
    arrange();
  });
  let waiting = 0;
  byId("controls").addEventListener("input", (event) => {
    if (event.target === sort) return;
    clearTimeout(waiting);
    waiting = setTimeout(filter, 120);
  });
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("clear").addEventListener("click", () => {
    for (const input of byId("controls").querySelectorAll("input")) input.value = "";
    filter();
  });
  byId("controls").hidden = false;
  filter();
})();
