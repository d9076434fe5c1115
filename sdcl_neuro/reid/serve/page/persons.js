// Persons of the gallery, and one person's timeline.
import { get, on } from "./api.js";
import { forget, mergeInto, rename, splitOff } from "./acts.js";
import { post } from "./api.js";
import { clock, count, el, face, personWords, pictureOf, svg, toast, visitWords } from "./dom.js";

export function personsView(main) {
  const input = el("input", { type: "search", placeholder: "Name or camera", "aria-label": "Find a person" });
  const total = el("span", { class: "muted number" });
  const list = el("ul", { class: "grid" });
  main.append(el("div", { class: "head" }, el("h1", {}, "Persons"), total, el("span", { class: "grow" }),
    el("div", {}, input)), list);
  let asked = 0;
  async function show() {
    const mine = ++asked;
    try {
      const { count: all, persons } = await get("/api/persons", { text: input.value, limit: 120 });
      if (mine !== asked) return;
      total.textContent = all > persons.length ? `${persons.length} of ${count(all, "person")}` : count(all, "person");
      list.replaceChildren(...(persons.length ? persons.map(card)
        : [el("li", { class: "empty" }, input.value ? "No one has such a name." : "The gallery is empty.")]));
    } catch (error) { toast(error.message); }
  }
  let timer = null;
  const later = (wait) => { clearTimeout(timer); timer = setTimeout(show, wait); };
  input.addEventListener("input", () => later(200));
  show();
  const off = on("people", () => later(200));
  return () => { off(); clearTimeout(timer); };
}

function card(one) {
  const sub = [count(one.visits, "visit"), one.cameras.join(", "), clock(one.last_us)];
  return el("li", {}, el("a", { class: "row", href: `#person=${encodeURIComponent(one.person)}` },
    face(pictureOf.entry(one.picture), ""),
    el("div", {},
      el("div", { class: `who ${one.named ? "known" : "unknown"}` }, personWords(one.person, one.named)),
      el("div", { class: "sub number" }, sub.join(" · ")),
      one.named && one.unconfirmed ? el("div", { class: "sub" }, `${one.unconfirmed} to confirm`) : null)));
}

export function personView(main, name) {
  const place = el("div");
  main.append(place);
  const chosen = new Set();
  let shown = name;
  async function show() {
    try {
      const person = await get("/api/person", { name: shown });
      shown = person.person;
      place.replaceChildren(...personPage(person, chosen, act));
    } catch (error) {
      place.replaceChildren(el("p", { class: "empty" }, error.message),
        el("p", {}, el("a", { href: "#persons" }, "All persons")));
    }
  }
  function act(next) {
    chosen.clear();
    if (next && next !== shown) location.hash = `person=${encodeURIComponent(next)}`;
    else show();
  }
  show();
  let timer = null;
  const off = on("people", () => { clearTimeout(timer); timer = setTimeout(show, 300); });
  return () => { off(); clearTimeout(timer); };
}

function personPage(person, chosen, act) {
  const split = el("button", { type: "button", disabled: chosen.size === 0, onclick: async () => {
    const entries = person.timeline.filter((one) => chosen.has(one.entries[0])).flatMap((one) => one.entries);
    if (await splitOff(entries)) act(null);
  } }, "Split off chosen");
  const words = personWords(person.person, person.named);
  const buttons = [
    el("button", { type: "button", class: person.named ? "" : "main", onclick: async () => {
      const next = await rename(person.person, person.named);
      if (next) await renamed(person, next, act);
    } }, person.named ? "Rename" : "Who is it?"),
    el("button", { type: "button", onclick: async () => {
      const into = await mergeInto(person.person, person.named);
      if (into) act(into);
    } }, "Merge into…"),
    split,
    el("button", { type: "button", class: "danger", onclick: async () => {
      if (await forget(person.person, person.named, person.entries)) location.hash = "persons";
    } }, "Forget…"),
  ];
  const visits = [...person.timeline].reverse().map((visit) => visitRow(visit, chosen, () => {
    split.disabled = chosen.size === 0;
  }, person, act));
  return [
    el("p", { class: "small back" }, el("a", { href: "#persons" }, "← All persons")),
    el("div", { class: "head" }, el("div", { class: "grow" }, el("h1", {}, words),
      el("div", { class: "muted number" },
        `${count(person.visits, "visit")} · ${count(person.entries, "entry", "entries")} · ${person.cameras.join(", ")}`)),
    el("div", { class: "tools" }, buttons)),
    lanes(person.timeline, person.cameras),
    el("ul", { class: "list visits" }, visits),
  ];
}

async function renamed(person, next, act) {
  try {
    for (const visit of person.timeline) await post("/api/split", { entries: visit.entries, person: next });
    toast(`Saved: ${next}`);
    act(next);
  } catch (error) { toast(error.message); }
}

function visitRow(visit, chosen, changed, person, act) {
  const key = visit.entries[0];
  const box = el("input", { type: "checkbox", "aria-label": `choose ${visitWords(visit.name)}`,
    onchange: () => { if (box.checked) chosen.add(key); else chosen.delete(key); changed(); } });
  box.checked = chosen.has(key);
  const proposed = visit.cosine === null ? "first seen here" : `proposed, cosine ${visit.cosine.toFixed(2)}`;
  return el("li", { class: "row" }, box,
    face(pictureOf.entry(visit.entries[Math.floor(visit.entries.length / 2)]), visitWords(visit.name)),
    el("div", {}, el("div", { class: "who" }, visit.camera || visitWords(visit.name)),
      el("div", { class: "sub number" }, `${clock(visit.first_us)} · ${count(visit.entries.length, "entry", "entries")}`),
      el("div", { class: "sub" }, visit.confirmed ? "confirmed" : proposed)),
    el("div", { class: "acts" }, !visit.confirmed && person.named
      ? el("button", { type: "button", onclick: async () => {
        try {
          await post("/api/confirm", { visit: visit.name, person: person.person });
          toast(`Confirmed: ${person.person}`);
          act(null);
        } catch (error) { toast(error.message); }
      } }, "Confirm") : null,
    el("a", { class: "button small", href: `#search=${encodeURIComponent(visit.name)}` }, "Similar")));
}

// One lane a camera, one bar a visit; the time axis spans all visits.
function lanes(visits, cameras) {
  const timed = visits.filter((one) => one.first_us !== null);
  if (timed.length === 0) return el("p", { class: "empty" }, "No times are stored with these entries.");
  const width = Math.max(280, Math.min(1380, innerWidth - 80)), left = Math.min(110, width * 0.24), high = 30, bottom = cameras.length * high + 10;
  const first = Math.min(...timed.map((one) => one.first_us));
  const span = Math.max(1e6, Math.max(...timed.map((one) => one.last_us)) - first);
  const at = (timeUs) => left + ((timeUs - first) / span) * (width - left - 16);
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${bottom + 24}`, role: "img" },
    svg("title", {}, `Timeline: ${count(timed.length, "visit")} at ${cameras.join(", ")}`));
  cameras.forEach((camera, index) => {
    const y = index * high + 20;
    const label = svg("text", { x: 0, y: y + 4 });
    const fits = Math.floor(left / 7);
    label.textContent = camera.length > fits ? `${camera.slice(0, fits - 1)}…` : camera;
    drawn.append(label, svg("line", { class: "lane", x1: left, x2: width - 8, y1: y, y2: y }));
  });
  for (const visit of timed) {
    const y = cameras.indexOf(visit.camera) * high + 12;
    const bar = svg("rect", { class: visit.confirmed ? "visit" : "visit open", x: at(visit.first_us), y,
      width: Math.max(7, at(visit.last_us) - at(visit.first_us)), height: 16, rx: 4 });
    const words = svg("title", {});
    words.textContent = `${visit.camera}, ${clock(visit.first_us)}, ${visit.confirmed ? "confirmed" : "proposed"}`;
    bar.append(words);
    drawn.append(bar);
  }
  for (const part of width < 600 ? [0, 1] : [0, 0.5, 1]) {
    const tick = svg("text", { x: at(first + part * span), y: bottom + 16,
      "text-anchor": part === 0 ? "start" : part === 1 ? "end" : "middle" });
    tick.textContent = clock(first + part * span);
    drawn.append(tick);
  }
  return el("div", { class: "lanes" }, drawn,
    el("div", { class: "legend" },
      legend("var(--c1)", "confirmed"), legend("var(--c2)", "not confirmed")));
}

function legend(colour, words) {
  const mark = el("i");
  mark.style.background = colour;
  return el("span", {}, mark, words);
}
