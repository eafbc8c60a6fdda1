/* Values under the pointer or the arrow keys, another axis of a figure, sorted tables:
   what acts. Every number is on the page without it. */
"use strict";

const made = (tag, facts, ...inside) => {
  const element = Object.assign(document.createElement(tag), facts);
  element.append(...inside);
  return element;
};

// Values. The titles of marks are what a browser shows late, and to a pointer alone.
const NEAR = 40; // pixels; about the width of a finger
const tip = made("div", { className: "tip", hidden: true, role: "status" });
document.body.append(tip);

const middle = (mark) => {
  const box = mark.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
};

for (const figure of document.querySelectorAll("svg")) {
  const marks = [...figure.querySelectorAll("title")].map((title) => {
    const mark = { drawn: title.parentNode, text: title.textContent };
    title.remove();
    return mark;
  });
  if (!marks.length) continue;
  let shown = -1;
  const show = (place) => {
    marks[shown]?.drawn.classList.remove("shown");
    shown = place;
    tip.hidden = !marks[shown];
    if (tip.hidden) return;
    const { drawn, text } = marks[shown];
    drawn.classList.add("shown");
    tip.textContent = text;
    const [x, y] = middle(drawn);
    // Beside the mark, and inside of the window.
    const right = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = `${scrollX + Math.max(8, Math.min(x + 12, right))}px`;
    tip.style.top = `${scrollY + Math.max(8, y - tip.offsetHeight - 12)}px`;
  };
  const under = ({ clientX, clientY }) => {
    const far = marks.map(({ drawn }) => {
      const [x, y] = middle(drawn);
      return Math.hypot(x - clientX, y - clientY);
    });
    const least = Math.min(...far);
    show(least < NEAR ? far.indexOf(least) : -1);
  };
  const keys = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  figure.tabIndex = 0;
  figure.addEventListener("pointermove", under);
  figure.addEventListener("pointerdown", under);
  figure.addEventListener("pointerleave", () => show(-1));
  figure.addEventListener("blur", () => show(-1));
  figure.addEventListener("keydown", (event) => {
    if (event.key === "Escape") show(-1);
    if (!keys[event.key]) return;
    event.preventDefault();
    const start = shown < 0 && keys[event.key] < 0 ? 0 : shown;
    show((start + keys[event.key] + marks.length) % marks.length);
  });
}

// Axes. A figure has a drawing for each; one is shown.
for (const drawings of document.querySelectorAll(".views")) {
  const views = [...drawings.children];
  if (views.length < 2) continue;
  const buttons = views.map((view) => made("button", { type: "button" }, view.dataset.view));
  const show = (chosen) => views.forEach((view, i) => {
    view.hidden = i !== chosen;
    buttons[i].ariaPressed = String(i === chosen);
  });
  buttons.forEach((button, i) => button.addEventListener("click", () => show(i)));
  const group = made("div", { className: "switch", role: "group" }, drawings.dataset.of, ...buttons);
  group.ariaLabel = drawings.dataset.of;
  drawings.before(group);
  show(0);
}

// Tables. A cell is sorted by its value, by the number it shows, or by its text.
const shown = (cell) => cell.firstChild?.textContent; // the first line of several
const value = (cell) => Number(cell.dataset.value ?? (shown(cell) || NaN));
const order = (down) => (a, b) => {
  const [x, y] = [value(a), value(b)];
  if (isNaN(x) !== isNaN(y)) return isNaN(x) - isNaN(y); // what has no number is last
  return (isNaN(x) ? `${shown(a)}`.localeCompare(shown(b)) : x - y) * (down ? -1 : 1);
};

for (const table of document.querySelectorAll("table:not(.conditions)")) {
  if (table.rows.length < 4) continue;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (!head.textContent) return;
    const button = made("button", { type: "button" }, ...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.ariaSort === "ascending";
      heads.forEach((each) => { each.ariaSort = null; });
      head.ariaSort = down ? "descending" : "ascending";
      for (const body of table.tBodies) {
        const rows = [...body.rows].filter((row) => row.cells.length === heads.length);
        const by = order(down);
        body.append(...rows.sort((a, b) => by(a.cells[column], b.cells[column])));
      }
    });
  });
}

// Paper shows what is folded, in browsers whose styles cannot unfold it.
const folded = [];
addEventListener("beforeprint", () => {
  folded.push(...document.querySelectorAll("details:not([open])"));
  folded.forEach((each) => { each.open = true; });
});
addEventListener("afterprint", () => {
  folded.splice(0).forEach((each) => { each.open = false; });
});
