// Carries facts from fields and link to Python, and its answer to the page. No number is
// computed here, and every text reaches the page as text: a link may hold anything.
"use strict";

const at = (id) => document.getElementById(id);
const form = at("facts");
const fields = [...form.querySelectorAll("input[name]")];
const tabs = [...document.querySelectorAll("nav [data-tab]")];
const examples = [...document.querySelectorAll("article[data-link]")];
const here = document.currentScript.src;
const started = performance.now();
let tab = tabs[0].dataset.tab;
let touched = false; // whether a person changed a fact: then it goes along to other tabs
let latest = 0; // number of the latest request
let timer;

function made(kind, text, name) {
  const element = document.createElement(kind);
  element.textContent = text;
  if (name) element.className = name;
  return element;
}

function row(kind, cells, { heads, numbers }) {
  const line = document.createElement("tr");
  cells.forEach((cell, place) => {
    const element = made(kind === "td" && place === 0 ? "th" : kind, cell, numbers[place] ? "number" : "");
    if (element.tagName === "TH") element.scope = kind === "td" ? "row" : "col";
    else if (heads.length) element.dataset.head = heads[place];
    line.append(element);
  });
  return line;
}

function drawn(part) {
  if ("line" in part) return [made("p", part.line, part.strong ? "strong" : "")];
  if ("points" in part) {
    const list = document.createElement("ul");
    list.append(...part.points.map((point) => made("li", point)));
    return [list];
  }
  const table = document.createElement("table");
  if (part.heads.length) {
    table.className = "headed";
    table.createTHead().append(row("th", part.heads, part));
  }
  table.createTBody().append(...part.rows.map((cells) => row("td", cells, part)));
  const scroll = made("div", "", "scroll");
  scroll.tabIndex = 0;
  scroll.append(table);
  return [scroll, ...part.notes.map((note) => made("p", note, "note"))];
}

function show(answer) {
  at("subject").textContent = answer.subject ?? "";
  at("headline").textContent = answer.error ?? answer.headline;
  document.body.classList.toggle("refused", "error" in answer);
  at("parts").replaceChildren(...(answer.parts ?? []).flatMap(drawn));
  for (const name of ["command", "python"]) at(name).textContent = answer[name] ?? "";
  at("status").textContent = "";
  document.body.dataset.answered = latest;
}

// What an example holds is there before Python is.
function showExample(article) {
  for (const name of ["subject", "headline"]) at(name).textContent = article.querySelector(`.${name}`).textContent;
  at("parts").replaceChildren(...article.querySelector(".parts").cloneNode(true).childNodes);
  for (const name of ["command", "python"]) at(name).textContent = article.querySelector(`.${name}`).textContent;
}

function onTab(field) {
  return field.closest("[data-tabs]").dataset.tabs.split(" ").includes(tab);
}

function after(field) {
  return form.querySelector(`[data-after="${field.name}"]`);
}

function factsOfForm() {
  const facts = {};
  for (const field of fields.filter(onTab)) {
    const value = field.type === "checkbox" ? (field.checked ? "yes" : "") : field.value.trim();
    const other = after(field) && tabs.find((each) => each.dataset.tab === tab).dataset.sides ? after(field).value.trim() : "";
    if (value || other) facts[field.name] = other ? `${value}:${other}` : value;
  }
  return facts;
}

function fill(facts) {
  for (const field of fields) {
    const [value, ...rest] = (facts[field.name] ?? "").split(":");
    if (field.type === "checkbox") field.checked = value !== "";
    else if (after(field)) [field.value, after(field).value] = [value, rest.join(":")];
    else field.value = facts[field.name] ?? "";
  }
  for (const details of form.querySelectorAll("details")) {
    details.open = [...details.querySelectorAll("input")].some((field) => field.value && field.type !== "checkbox" || field.checked);
  }
}

function showTab(name) {
  tab = tabs.some((each) => each.dataset.tab === name) ? name : tabs[0].dataset.tab;
  for (const each of tabs) {
    if (each.dataset.tab === tab) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  const sides = tabs.find((each) => each.dataset.tab === tab).dataset.sides;
  form.classList.toggle("sides", sides !== "");
  for (const field of fields) field.closest("[data-tabs]").hidden = !onTab(field);
  for (const article of examples) article.hidden = article.dataset.tab !== tab;
}

function request(name, facts) {
  latest += 1;
  at("status").textContent = "Computing …";
  at("link").textContent = new URL(`#${linkOf(facts)}`, location.href).href;
  python.postMessage({ id: latest, request: JSON.stringify({ tab: name, facts }) });
}

function linkOf(facts) {
  return String(new URLSearchParams({ tab, ...facts }));
}

function readLink() {
  const { tab: name, ...facts } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  showTab(name);
  const own = examples.filter((each) => each.dataset.tab === tab);
  if (Object.keys(facts).length) {
    touched = true;
    fill(facts);
  } else if (!touched) {
    fill(Object.fromEntries(new URLSearchParams(own[0].dataset.link)));
  }
  const given = Object.keys(facts).length ? facts : factsOfForm();
  const example = examples.find((each) => each.dataset.link === linkOf(given));
  if (example) showExample(example);
  request(name ?? tab, given);
}

function changed() {
  touched = true;
  clearTimeout(timer);
  timer = setTimeout(() => {
    const facts = factsOfForm();
    history.replaceState(null, "", `#${linkOf(facts)}`);
    request(tab, facts);
  }, 250);
}

async function copy(button) {
  const source = at(button.dataset.copies);
  getSelection().selectAllChildren(source);
  // A page that came over plain http has no clipboard; the old way needs a selection.
  if (navigator.clipboard) await navigator.clipboard.writeText(source.textContent);
  else document.execCommand("copy");
  at("status").textContent = "Copied.";
}

function receive({ data }) {
  if (data.ready) at("ready").textContent = `Python was ready after ${((performance.now() - started) / 1000).toFixed(1)} s.`;
  else if (data.failed) at("headline").textContent = `Python did not start: ${data.failed}. The examples below need none.`;
  else if (data.id === latest) show(JSON.parse(data.answer));
}

let python;
if (location.protocol !== "file:") {
  document.documentElement.classList.add("running");
  for (const details of document.querySelectorAll("article details")) details.open = false;
  python = new Worker(new URL("worker.js", here), { type: "module" });
  python.onmessage = receive;
  form.addEventListener("input", changed);
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", readLink);
  for (const button of document.querySelectorAll("[data-copies]")) button.addEventListener("click", () => copy(button));
  readLink();
}
