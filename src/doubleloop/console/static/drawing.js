// Boxes and polygons on an image, by mouse and by keys. They are kept as JSON in the field that the form sends; a person
// without this script writes it there. Places are whole pixels of the image, whatever its size on the page.
"use strict";
(() => {
  const desk = document.getElementById("desk");
  const board = document.getElementById("board");
  if (!desk || !board) return;
  const image = board.querySelector("img");
  const value = document.getElementById("value");
  const labels = [...desk.querySelectorAll("input[type=radio]")];
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  let width = 1, height = 1;
  let open = [];          // corners of what is being drawn
  let cross = null;       // where the keys are
  let selected = -1;      // number of a shape, -1: none
  let drag = null;

  const read = () => { try { return JSON.parse(value.value); } catch { return []; } };
  const inside = ([x, y]) => [Math.min(Math.max(Math.round(x), 0), width), Math.min(Math.max(Math.round(y), 0), height)];
  const hue = (name) => (labels.find((each) => each.value === name) || { dataset: {} }).dataset.color || "#1f77b4";
  const label = () => labels.find((each) => each.checked) || labels[0];
  const corners = ({ box, polygon }) => polygon || [
    [box[0], box[1]], [box[0] + box[2], box[1]], [box[0] + box[2], box[1] + box[3]], [box[0], box[1] + box[3]],
  ];

  function keep(shapes) {
    value.value = JSON.stringify(shapes);
    draw();
  }

  function part(name, attributes) {
    const made = document.createElementNS(svg.namespaceURI, name);
    for (const [key, each] of Object.entries(attributes)) made.setAttribute(key, each);
    svg.append(made);
    return made;
  }

  function draw() {
    svg.replaceChildren();
    read().forEach((shape, number) => {
      const made = part("polygon", { points: corners(shape).join(" "), class: number === selected ? "shape chosen" : "shape" });
      made.style.setProperty("--hue", hue(shape.label));
      made.dataset.number = number;
      made.append(Object.assign(document.createElementNS(svg.namespaceURI, "title"), { textContent: shape.label }));
    });
    const ghost = drag && drag.moved ? corners({ box: between(drag.from, drag.to) }) : open;
    if (ghost.length) part(ghost === open ? "polyline" : "polygon", { points: ghost.join(" "), class: "open" });
    for (const [x, y] of open) part("circle", { cx: x, cy: y, r: Math.max(width, height) / 150, class: "open" });
    if (cross) part("path", { d: `M${cross[0]} 0V${height}M0 ${cross[1]}H${width}`, class: "cross" });
  }

  const between = ([ax, ay], [bx, by]) => [Math.min(ax, bx), Math.min(ay, by), Math.abs(ax - bx), Math.abs(ay - by)];

  function finish() {
    const shape = open.length === 2 ? { label: label().value, box: between(...open) } : { label: label().value, polygon: open };
    const flat = shape.box && !(shape.box[2] && shape.box[3]);
    open = [];
    if (!flat && (shape.box || shape.polygon.length > 2)) keep([...read(), shape]);
    else draw();
  }

  function move(by, x, y) {
    const shapes = read();
    const places = corners(shapes[by]);
    const [across, down] = [places.map((each) => each[0]), places.map((each) => each[1])];
    const dx = Math.min(Math.max(x, -Math.min(...across)), width - Math.max(...across));
    const dy = Math.min(Math.max(y, -Math.min(...down)), height - Math.max(...down));
    const shape = shapes[by];
    if (shape.box) shape.box = [shape.box[0] + dx, shape.box[1] + dy, shape.box[2], shape.box[3]];
    else shape.polygon = shape.polygon.map(([px, py]) => [px + dx, py + dy]);
    keep(shapes);
  }

  function remove() {
    if (open.length) open.pop();
    else {
      const shapes = read();
      shapes.splice(selected, 1);
      selected = -1;
      return keep(shapes);
    }
    draw();
  }

  const at = (event) => {
    const area = svg.getBoundingClientRect();
    return inside([(event.clientX - area.left) / area.width * width, (event.clientY - area.top) / area.height * height]);
  };
  const near = (one, other) => Math.hypot(one[0] - other[0], one[1] - other[1]) * svg.clientWidth / width < 8;

  svg.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    svg.setPointerCapture(event.pointerId);
    drag = { from: at(event), to: at(event), moved: false, over: event.target.dataset.number };
    cross = null;
  });
  svg.addEventListener("pointermove", (event) => {
    if (!drag) return;
    drag.to = at(event);
    drag.moved = drag.moved || !near(drag.from, drag.to);
    draw();
  });
  svg.addEventListener("pointerup", () => {
    const { from, to, moved, over } = drag || {};
    drag = null;
    if (!from) return;
    if (moved) { open = [from, to]; selected = -1; return finish(); }
    if (!open.length && over !== undefined) { selected = Number(over); return draw(); }
    selected = -1;
    if (open.length > 2 && near(open[0], to)) return finish();
    open.push(to);
    draw();
  });
  svg.addEventListener("pointercancel", () => { drag = null; draw(); });

  const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const far = () => Math.max(1, Math.round(Math.max(width, height) / 50));

  function arrow(key, fine) {
    const [x, y] = STEPS[key].map((each) => each * (fine ? 1 : far()));
    if (selected >= 0) return move(selected, x, y);
    cross = cross ? inside([cross[0] + x, cross[1] + y]) : inside([width / 2, height / 2]);
    draw();
  }

  function turn(by) {
    const number = read().length;
    if (number) selected = selected < 0 ? (by > 0 ? 0 : number - 1) : (selected + by + number) % number;
    cross = null;
    draw();
  }

  // True where the key means something here, and nothing elsewhere.
  function key(event) {
    if (event.key in STEPS) arrow(event.key, event.shiftKey);
    else if (event.key === " ") { selected = -1; cross = cross || inside([width / 2, height / 2]); open.push(cross); draw(); }
    else if (event.key === "Enter" && open.length > 1) finish();
    else if (event.key === "Escape") { open = []; cross = null; selected = -1; draw(); }
    else if (event.key === "Backspace" || event.key === "Delete") remove();
    else if (event.key === "PageDown" || event.key === "PageUp") turn(event.key === "PageDown" ? 1 : -1);
    else return false;
    return true;
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest("textarea, select, a, button")) return;
    if (!key(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
  desk.addEventListener("doubleloop:label", () => {
    const shapes = read();
    if (selected < 0 || !shapes[selected]) return;
    shapes[selected].label = label().value;
    keep(shapes);
  });
  value.addEventListener("input", draw);
  if (!labels.some((each) => each.checked)) labels[0].checked = true;

  desk.doubleloopReady = image.decode().catch(() => {}).then(() => {
    [width, height] = [image.naturalWidth || 1, image.naturalHeight || 1];
    board.style.setProperty("--ratio", width / height);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("aria-label", "Shapes on the image");
    svg.setAttribute("role", "img");
    board.append(svg);
    draw();
  });
})();
