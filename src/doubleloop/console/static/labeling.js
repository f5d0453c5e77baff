// The keyboard of the labelling page, and spans by selecting text (drawing.js and ranking.js have the rest). Without it the page is a form like any other.
"use strict";
(() => {
  const desk = document.getElementById("desk");
  if (!desk) return;
  const text = document.getElementById("text");
  const value = document.getElementById("value");
  const labels = [...desk.querySelectorAll("input[type=radio]")];
  const spans = desk.dataset.task === "entity_spans" && text && value;

  // Places in a text are counted in characters, as the server counts them; a browser counts halves of some.
  const length = (part) => Array.from(part).length;
  const source = spans ? text.textContent : "";
  const read = () => { try { return JSON.parse(value.value); } catch { return []; } };

  function chosen() {
    const found = getSelection();
    if (!found.rangeCount || found.isCollapsed) return null;
    const range = found.getRangeAt(0);
    if (!text.contains(range.startContainer) || !text.contains(range.endContainer)) return null;
    const before = document.createRange();
    before.setStart(text, 0);
    before.setEnd(range.startContainer, range.startOffset);
    const start = length(before.toString());
    return { start, end: start + length(range.toString()) };
  }

  function draw() {
    const letters = Array.from(source);
    const marks = read().slice().sort((one, other) => one.start - other.start);
    text.replaceChildren();
    let at = 0;
    for (const span of marks) {
      if (span.start < at) continue;
      text.append(letters.slice(at, span.start).join(""));
      const mark = document.createElement("mark");
      const label = labels.find((each) => each.value === span.label);
      if (label) mark.style.setProperty("--hue", label.dataset.color);
      mark.title = span.label;
      mark.append(letters.slice(span.start, span.end).join(""));
      text.append(mark);
      at = span.end;
    }
    text.append(letters.slice(at).join(""));
  }

  function keep(label) {
    const part = chosen();
    if (!part) return;
    const others = read().filter((each) => each.end <= part.start || part.end <= each.start);
    value.value = JSON.stringify([...others, { ...part, label }]);
    getSelection().removeAllRanges();
    draw();
  }

  labels.forEach((each) => each.addEventListener("change", () => {
    if (spans) keep(each.value);
    desk.dispatchEvent(new Event("doubleloop:label"));
  }));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const inside = event.target.closest("textarea, select, a, button, input:not([type=radio])");
    if (inside) return;
    if (event.key === "Enter") {
      event.preventDefault();
      const submit = desk.querySelector("button[value=label]");
      if (submit) desk.requestSubmit(submit);
      return;
    }
    if (spans && event.key === "Backspace") {
      value.value = JSON.stringify(read().slice(0, -1));
      draw();
      return;
    }
    const button = [...desk.querySelectorAll("button[data-key]")].find((each) => each.dataset.key === event.key);
    if (button) {
      event.preventDefault();
      desk.requestSubmit(button);
      return;
    }
    const label = labels.find((each) => each.dataset.key === event.key);
    if (label) {
      event.preventDefault();
      label.checked = true;
      if (spans) keep(label.value);
      desk.dispatchEvent(new Event("doubleloop:label"));
    }
  });
  if (spans) {
    value.addEventListener("input", draw);
    draw();
  }
  // The keys mean something from here on.
  Promise.resolve(desk.doubleloopReady).then(() => { desk.dataset.ready = ""; });
})();
