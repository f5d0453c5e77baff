// An order of labels, the best first: by dragging, or by their keys in the order in which they are pressed.
"use strict";
(() => {
  const desk = document.getElementById("desk");
  const list = document.getElementById("ranks");
  if (!desk || !list) return;
  const value = document.getElementById("value");
  const items = () => [...list.children];
  let placed = 0;      // how many were given their place by their key
  let current = null;

  const keep = () => { value.value = JSON.stringify(items().map((each) => each.dataset.label)); mark(); };
  const mark = () => items().forEach((each) => each.classList.toggle("chosen", each === current));

  function put(item, place) {
    const others = items().filter((each) => each !== item);
    list.insertBefore(item, others[Math.min(Math.max(place, 0), others.length)] || null);
    current = item;
    keep();
  }

  function show() {
    try {
      for (const name of JSON.parse(value.value)) {
        const item = items().find((each) => each.dataset.label === name);
        if (item) list.append(item);
      }
    } catch { /* it is being written */ }
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest("textarea, select, a, button")) return;
    const item = items().find((each) => each.dataset.key === event.key);
    if (item) {
      if (items().indexOf(item) < placed) return;
      put(item, placed);
      placed = (placed + 1) % items().length;
    } else if ((event.key === "ArrowUp" || event.key === "ArrowDown") && current) {
      put(current, items().indexOf(current) + (event.key === "ArrowUp" ? -1 : 1));
    } else if (event.key === "Backspace" || event.key === "Escape") {
      placed = 0;
      current = null;
      mark();
    } else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);

  for (const item of items()) item.addEventListener("dragstart", (event) => {
    current = item;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", item.dataset.label);
  });
  list.addEventListener("dragover", (event) => event.preventDefault());
  list.addEventListener("drop", (event) => {
    event.preventDefault();
    const onto = event.target.closest("li");
    if (current && onto) put(current, items().indexOf(onto));
  });
  value.addEventListener("input", show);
  show();
})();
