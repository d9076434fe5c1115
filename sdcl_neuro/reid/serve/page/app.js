// Views by the address's hash, the header, keys; each view is a function that returns how to end it.
import { connect, get, on, post, whenDenied } from "./api.js";
import { camerasView, turnEvents } from "./cameras.js";
import { curvesView } from "./curves.js";
import { askToken, help } from "./dialogs.js";
import { count, toast } from "./dom.js";
import { personView, personsView } from "./persons.js";
import { searchView } from "./search.js";
import { begin, refreshVisits, store } from "./store.js";

const VIEWS = { cameras: camerasView, persons: personsView, person: personView, search: searchView,
  curves: curvesView };
const main = document.getElementById("main");
let end = () => {};

function show() {
  const [name, ...rest] = location.hash.slice(1).split("=");
  const view = name in VIEWS ? name : "cameras";
  end();
  main.replaceChildren();
  end = VIEWS[view](main, decodeURIComponent(rest.join("="))) ?? (() => {});
  for (const link of document.querySelectorAll("nav [data-view]")) {
    const here = link.dataset.view === (view === "person" ? "persons" : view);
    if (here) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  scrollTo(0, 0);
}

function showLink(state) {
  const pill = document.getElementById("link");
  pill.className = `pill ${state}`;
  pill.textContent = state === "live" ? "live" : "reconnecting";
}

async function showStatus() {
  const status = await get("/api/status");
  store.status = status;
  const facts = [
    `${count(status.cameras.length, "camera")}, ${count(status.gallery.entries, "entry", "entries")}`,
    !status.gallery.enrol ? "storing nothing"
      : status.gallery.keep_crops ? "storing embeddings and pictures" : "storing embeddings, no pictures",
    status.threshold === null ? "no threshold" : `one person from a cosine of ${status.threshold.toFixed(2)}`,
  ];
  document.getElementById("facts").textContent = facts.filter(Boolean).join(" · ");
}

function keys(event) {
  const typing = event.target.closest("input, textarea, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const views = ["cameras", "persons", "search", "curves"];
  if (views[Number(event.key) - 1]) location.hash = views[Number(event.key) - 1];
  else if (event.key === "/") {
    event.preventDefault();
    if (location.hash !== "#persons") location.hash = "persons";
    setTimeout(() => document.querySelector("input[type=search]")?.focus(), 0);
  } else if (event.key === "e") turnEvents();
  else if (event.key === "?") help();
}

let asking = false;
whenDenied(async () => {
  if (asking) return;
  asking = true;
  await askToken((token) => post("/login", { token }));
  location.reload();
});

async function start() {
  begin();
  on("link", showLink);
  on("second", (message) => {
    const trouble = document.getElementById("trouble");
    const failed = message.cameras.filter((one) => one.state === "failed" || one.state === "lost");
    trouble.hidden = failed.length === 0;
    trouble.textContent = failed.map((one) => `${one.name}: ${one.reason}`).join("; ");
  });
  document.addEventListener("keydown", keys);
  addEventListener("hashchange", show);
  await showStatus();
  await refreshVisits();
  connect();
  on("people", () => showStatus().catch(() => {}));
  show();
}

start().catch((error) => { if (!asking) toast(error.message); });
