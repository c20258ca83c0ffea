// Frames of a graph: told when they are pointed at or reached by keys, zoomed, searched for.
"use strict";
for (const section of document.querySelectorAll("section")) {
  const boxes = [...section.querySelectorAll(".box")];
  const told = section.querySelector(".told");
  const field = section.querySelector("input");
  const found = section.querySelector(".found");
  const parent = (box) => boxes[Number(box.dataset.parent)];
  const below = (box) => boxes.filter((each) => parent(each) === box && !each.hidden);

  function tell(box) {
    told.textContent = box.getAttribute("aria-label");
  }
  function reach(box) {
    if (!box) return;
    for (const each of boxes) each.tabIndex = each === box ? 0 : -1;
    box.focus({ preventScroll: false });
  }
  // One frame as wide as the picture: its callers too, and what is beside it away.
  function zoom(box) {
    const callers = new Set();
    for (let each = box; each; each = parent(each)) callers.add(each);
    const left = Number(box.dataset.left), width = Number(box.dataset.width);
    const inside = new Set([box]);
    for (const each of boxes) if (inside.has(parent(each))) inside.add(each);
    for (const each of boxes) {
      each.hidden = !callers.has(each) && !inside.has(each);
      if (each.hidden) continue;
      const whole = callers.has(each);
      each.style.left = whole ? "0%" : `${100 * (Number(each.dataset.left) - left) / width}%`;
      each.style.width = whole ? "100%" : `${100 * Number(each.dataset.width) / width}%`;
    }
    reach(box);
  }
  function find() {
    const text = field.value.trim().toLowerCase();
    const hits = boxes.filter((box) => text && box.textContent.toLowerCase().includes(text));
    for (const box of boxes) box.classList.toggle("hit", hits.includes(box));
    found.textContent = text ? words.found.replace("{frames}", hits.length) : "";
  }
  const keys = {
    ArrowDown: (box) => reach(below(box)[0]),
    ArrowUp: (box) => reach(parent(box)),
    ArrowRight: (box) => reach(beside(box, 1)),
    ArrowLeft: (box) => reach(beside(box, -1)),
    Home: () => reach(boxes[0]),
    Enter: zoom,
    " ": zoom,
    Escape: () => zoom(boxes[0]),
  };
  function beside(box, step) {
    const all = parent(box) ? below(parent(box)) : [box];
    return all[all.indexOf(box) + step];
  }
  for (const box of boxes) {
    box.addEventListener("click", () => zoom(box));
    box.addEventListener("focus", () => tell(box));
    box.addEventListener("mouseenter", () => tell(box));
    box.addEventListener("keydown", (event) => {
      if (!(event.key in keys) || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      keys[event.key](box);
    });
  }
  field.addEventListener("input", find);
  section.querySelector(".reset").addEventListener("click", () => zoom(boxes[0]));
  section.querySelector(".bar").hidden = false;
}
