// Small helps; every page works without them.
"use strict";

// A form that asks before it does what cannot be taken back: <form data-ask="sentence">.
document.addEventListener("submit", (event) => {
  const sentence = event.target.dataset && event.target.dataset.ask;
  if (sentence && !window.confirm(sentence)) event.preventDefault();
});

// A slider shows its value beside it: <input type="range" data-shows="id">; amounts in yuan.
document.addEventListener("input", (event) => {
  const target = event.target.dataset && event.target.dataset.shows;
  const shown = target && document.getElementById(target);
  if (shown) shown.textContent = Number(event.target.value).toLocaleString("en-US");
});

// A button that prints the page: <button data-print>.
document.addEventListener("click", (event) => {
  if (event.target.closest && event.target.closest("[data-print]")) window.print();
});

// A rest is shown before it is sent: <fieldset data-rest="id"> holds the field `total`, its parts, and the field of the rest.
document.addEventListener("input", (event) => {
  const set = event.target.closest && event.target.closest("[data-rest]");
  if (!set) return;
  const rest = document.getElementById(set.dataset.rest);
  const fen = (input) => Math.round(100 * Number(input.value.replace(/[,，¥]/g, "") || 0));
  const parts = ["off_catalogue", "over_limit", "first_self_pay"].map((name) => document.getElementById(name));
  const left = parts.reduce((sum, input) => sum - fen(input), fen(document.getElementById("total")));
  rest.placeholder = Number.isFinite(left) && left >= 0 ? (left / 100).toFixed(2) : "";
});

// A text with line numbers beside it: <textarea data-numbered>; the numbers scroll with the text.
function numbered(area) {
  const frame = document.createElement("div");
  const numbers = document.createElement("pre");
  frame.className = "numbered";
  numbers.setAttribute("aria-hidden", "true");
  area.before(frame);
  frame.append(numbers, area);
  const count = () => {
    const lines = area.value.split("\n").length;
    numbers.textContent = Array.from({ length: lines }, (_, line) => line + 1).join("\n");
    numbers.style.height = `${area.clientHeight}px`;
    numbers.scrollTop = area.scrollTop;
  };
  area.addEventListener("input", count);
  area.addEventListener("scroll", () => { numbers.scrollTop = area.scrollTop; });
  new ResizeObserver(count).observe(area);
  count();
}
document.querySelectorAll("textarea[data-numbered]").forEach(numbered);

// A link to a place of that text: <a href="#text" data-line="3" data-column="5">.
document.addEventListener("click", (event) => {
  const link = event.target.closest && event.target.closest("a[data-line]");
  const area = link && document.querySelector(link.getAttribute("href"));
  if (!area || area.value === undefined) return;
  event.preventDefault();
  const lines = area.value.split("\n");
  const line = Math.min(Number(link.dataset.line), lines.length);
  const before = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
  area.focus();
  area.setSelectionRange(before + Math.max(0, Number(link.dataset.column) - 1), before + lines[line - 1].length);
  area.scrollTop = Math.max(0, (line - 4) * parseFloat(getComputedStyle(area).lineHeight));
});

// A list whose rows stand one under the other on a narrow screen: <table class="listed">; each cell then says its head.
function labelled(table) {
  const heads = Array.from(table.querySelectorAll("thead th"), (head) => head.textContent.trim());
  // As blocks they would no longer be a table to a screen reader, unless they say so.
  const roles = { THEAD: "rowgroup", TBODY: "rowgroup", TFOOT: "rowgroup", TR: "row", TD: "cell" };
  table.setAttribute("role", "table");
  table.querySelectorAll("thead, tbody, tfoot, tr, td").forEach((part) => part.setAttribute("role", roles[part.tagName]));
  table.querySelectorAll("th").forEach((head) => head.setAttribute("role", head.scope === "row" ? "rowheader" : "columnheader"));
  table.querySelectorAll("tbody tr, tfoot tr").forEach((row) => {
    if (row.cells.length === heads.length) Array.from(row.cells).forEach((cell, place) => { cell.dataset.head = heads[place]; });
  });
  table.classList.add("labelled");
}
const label = () => document.querySelectorAll("table.listed:not(.labelled)").forEach(labelled);
document.addEventListener("htmx:after:swap", label);
label();
