// Cameras with boxes and events, who was seen last, and the figures of this second.
import { on, watch } from "./api.js";
import { confirmVisit } from "./acts.js";
import { clock, el, face, kindOf, pictureOf, short, stateWords, visitWords } from "./dom.js";
import { refreshVisits, store } from "./store.js";

const MODES = [["frames", "Frames"], ["both", "With events"], ["events", "Events"]];
let mode = "both";
let turned = () => {};

export function turnEvents() {
  const place = MODES.findIndex(([name]) => name === mode);
  mode = MODES[(place + 1) % MODES.length][0];
  turned();
}

export function camerasView(main) {
  const tiles = new Map();
  const rows = new Map();
  const cameras = el("div", { class: "cameras" });
  const recent = el("ul", { class: "list", id: "recent" });
  const figures = el("div", { class: "tiles" });
  const buttons = MODES.map(([name, words]) => el("button", { type: "button",
    onclick: () => { mode = name; turned(); } }, words));
  main.append(
    el("div", { class: "split" },
      el("section", { "aria-label": "Cameras" },
        el("div", { class: "head" }, el("h1", {}, "Cameras"), el("span", { class: "grow" }),
          el("div", { class: "group", role: "group", "aria-label": "What is shown" }, buttons)),
        cameras, figures),
      el("section", { "aria-label": "Seen" },
        el("div", { class: "head" }, el("h1", {}, "Seen")), recent)));

  function show() {
    MODES.forEach(([name], index) => buttons[index].setAttribute("aria-pressed", name === mode));
    for (const tile of tiles.values()) tile.draw();
  }
  function lay() {
    for (const name of store.cameras.keys()) {
      if (tiles.has(name)) continue;
      const tile = cameraTile(name);
      tiles.set(name, tile);
      cameras.append(tile.figure);
    }
    cameras.classList.toggle("many", tiles.size > 4);
    watch([...tiles.keys()]);
  }
  const second = () => {
    lay();
    for (const [name, tile] of tiles) tile.caption(store.cameras.get(name));
    showFigures(figures);
  };
  const seen = throttled(() => showRecent(recent, rows));
  turned = show;
  second();
  show();
  showRecent(recent, rows);
  const offs = [on("hello", second), on("second", second), on("camera", second), on("seen", seen),
    on("people", () => refreshVisits().then(seen)),
    on("picture", (picture) => tiles.get(picture.camera)?.take(picture))];
  return () => { offs.forEach((off) => off()); watch([]); turned = () => {}; };
}

function throttled(action) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => { waiting = false; action(); }, 400);
  };
}

function cameraTile(name) {
  const canvas = el("canvas", { role: "img", "aria-label": `Camera ${name}` });
  const none = el("span", { class: "none" }, "waiting for a picture");
  const screen = el("div", { class: "screen" }, canvas, none);
  const dot = el("span", { class: "dot" });
  const words = el("span", { class: "number" });
  const figure = el("figure", { class: "camera" }, screen,
    el("figcaption", {}, el("b", {}, dot, name), words));
  let last = null;
  let before = null;
  let busy = false;
  let next = null;

  async function take(picture) {
    if (busy) { next = picture; return; } // only the newest counts
    busy = true;
    try {
      const [frame, events] = await Promise.all(picture.blobs.map((one) => createImageBitmap(one)));
      last?.frame.close();
      last?.events.close();
      last = { ...picture, frame, events };
      none.hidden = true;
      screen.style.aspectRatio = `${frame.width} / ${frame.height}`;
      draw();
    } finally {
      busy = false;
      if (next !== null) { const waiting = next; next = null; take(waiting); }
    }
  }

  function draw() {
    if (last === null || !canvas.isConnected) return;
    const ratio = Math.min(2, devicePixelRatio || 1);
    const width = Math.round(screen.clientWidth * ratio), height = Math.round(screen.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    pen.imageSmoothingEnabled = mode !== "events";
    const apart = mode === "both" && !last.covers; // another view: not to be laid over the frame
    if (mode !== "events") pen.drawImage(last.frame, 0, 0, width, height);
    pen.globalAlpha = mode === "events" ? 1 : 0.7;
    if (mode === "events" || (mode === "both" && !apart)) pen.drawImage(last.events, 0, 0, width, height);
    pen.globalAlpha = 1;
    if (mode !== "events" || last.covers) boxes(pen, width, height, ratio, last.boxes);
  }

  function caption(camera) {
    if (camera === undefined) return;
    dot.className = `dot ${camera.state}`;
    const rate = before === null ? null : (camera.frames - before.frames) / ((Date.now() - before.at) / 1000);
    if (before === null || Date.now() - before.at > 1900) before = { frames: camera.frames, at: Date.now() };
    const parts = camera.state === "live"
      ? [rate === null ? "" : `${short(rate, 2)} frames/s`, `${camera.persons} in view`]
      : [camera.state];
    if (camera.dropped) parts.push(`${camera.dropped.toLocaleString("en")} dropped`);
    words.textContent = parts.filter(Boolean).join(" · ");
    if (last === null && camera.state !== "live" && camera.state !== "opening") {
      none.textContent = camera.reason || camera.state;
    }
  }
  return { figure, take, draw, caption };
}

function boxes(pen, width, height, ratio, shown) {
  pen.font = `600 ${12 * ratio}px "Inter", "Segoe UI", Arial, sans-serif`;
  const colours = { known: "#3ec7d8", again: "#ffb35c", unknown: "#d5dbe0", fresh: "#9aa4ad" };
  const labels = [];
  for (const one of shown) {
    const [x, y, wide, high] = one.box;
    const kind = one.seen ? kindOf(one) : "fresh";
    pen.strokeStyle = colours[kind];
    pen.lineWidth = 2 * ratio;
    pen.setLineDash(one.seen ? [] : [5 * ratio, 4 * ratio]);
    pen.strokeRect(x * width, y * height, wide * width, high * height);
    if (one.seen) labels.push({ one, kind, left: x * width, top: y * height });
  }
  pen.setLineDash([]);
  const taken = [];
  for (const { one, kind, left, top } of labels.sort((a, b) => a.top - b.top)) {
    const text = one.named ? one.person : one.person === null ? "unknown" : "seen before";
    const wide = pen.measureText(text).width + 10 * ratio, high = 18 * ratio;
    let x = Math.max(0, Math.min(left - ratio, width - wide)), y = Math.max(0, top - high);
    while (taken.some((t) => x < t.x + t.wide && t.x < x + wide && y < t.y + high && t.y < y + high)) y += high;
    taken.push({ x, y, wide });
    pen.fillStyle = colours[kind];
    pen.fillRect(x, y, wide, high);
    pen.fillStyle = "#10161a";
    pen.fillText(text, x + 5 * ratio, y + high - 5 * ratio);
  }
}

function showFigures(place) {
  const point = store.points.at(-1), state = store.state;
  if (point === undefined || state === null) return;
  const busy = [...store.points].reverse().find((one) => one.latency_ms !== null) ?? point;
  const chip = Object.keys(busy.energy_uj)[0];
  const energy = chip ? busy.energy_uj[chip] : null;
  const rows = [
    ["Tracklets", "measured", short(point.tracklets_per_s), "/s"],
    ["Latency, median", "measured", busy.latency_ms ? short(busy.latency_ms.p50) : "–", "ms"],
    ["Spikes", "emulated", short(busy.spikes_per_s), "/s"],
    ["Synaptic operations", "emulated", short(busy.synops_per_s), "/s"],
    [chip ? `Energy, ${chip}` : "Energy", "modelled",
      energy && energy.high !== null ? `${short(energy.low, 2)}–${short(energy.high, 2)}` : "–", "µJ"],
    ["Dropped", "measured", state.dropped.toLocaleString("en"), ""],
  ];
  place.replaceChildren(...rows.map(([label, tag, value, unit]) => el("div", { class: "tile" },
    el("div", { class: "label" }, label),
    el("div", { class: "value" }, value, " ", el("small", {}, unit)),
    el("div", { class: "tag small" }, tag))));
}

// Rows stay where nothing changed, and keep their picture for a while: each costs a request.
const PICTURE_KEPT_MS = 3000;
function showRecent(list, rows) {
  const visits = [...store.visits.values()].reverse().slice(0, 14);
  if (visits.length === 0) {
    list.replaceChildren(el("li", { class: "empty" }, "No one has been seen yet."));
    return;
  }
  const focus = document.activeElement?.dataset?.focus;
  for (const visit of visits) {
    const text = JSON.stringify(visit);
    const before = rows.get(visit.visit);
    if (before?.text === text) continue;
    const young = before && Date.now() - before.pictured < PICTURE_KEPT_MS;
    const row = visitRow(visit, young ? before.row.querySelector(".face") : null);
    rows.set(visit.visit, { row, text, pictured: young ? before.pictured : Date.now() });
  }
  for (const name of rows.keys()) if (!store.visits.has(name)) rows.delete(name);
  list.replaceChildren(...visits.map((visit) => rows.get(visit.visit).row));
  if (focus) list.querySelector(`[data-focus="${CSS.escape(focus)}"]`)?.focus();
}

function visitRow(visit, picture) {
  const person = visit.person ?? visit.visit;
  const who = el("div", { class: `who ${kindOf(visit)}` }, stateWords(visit));
  const alike = visit.cosine === null ? "" : `cosine ${visit.cosine.toFixed(2)}`;
  return el("li", { class: "row" },
    picture ?? face(pictureOf.visit(visit.visit, visit.time_us), `person at ${visit.camera}`),
    el("div", {}, who,
      el("div", { class: "sub number" }, `${visitWords(visit.visit)} · ${clock(visit.time_us)}`),
      el("div", { class: "sub number" }, alike, alike && visit.stored ? " · " : "",
        visit.stored ? el("a", { href: `#person=${encodeURIComponent(person)}` }, "timeline") : null)),
    el("div", { class: "acts" },
      el("button", { type: "button", "data-focus": `who ${visit.visit}`, disabled: visit.stored === 0,
        onclick: () => confirmVisit(visit) }, "Who?"),
      el("a", { class: "button small", href: `#search=${encodeURIComponent(visit.visit)}` }, "Similar")));
}
