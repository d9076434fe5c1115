// The last five minutes as curves, second by second.
import { on } from "./api.js";
import { el, short } from "./dom.js";
import { store } from "./store.js";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const CHARTS = [
  { title: "Tracklets", unit: "/s", tag: "measured",
    lines: () => [["embedded", "--c1", (p) => p.tracklets_per_s]] },
  { title: "Latency, last frame to embedding", unit: "ms", tag: "measured",
    lines: () => [["median", "--c1", (p) => p.latency_ms?.p50 ?? null],
      ["99 %", "--c2", (p) => p.latency_ms?.p99 ?? null]] },
  { title: "Spikes", unit: "/s", tag: "emulated", lines: () => [["sent", "--c1", (p) => p.spikes_per_s]] },
  { title: "Synaptic operations", unit: "/s", tag: "emulated",
    lines: () => [["all layers", "--c1", (p) => p.synops_per_s]] },
  { title: "Energy of a tracklet's event branch", unit: "µJ", tag: "modelled", bands: () => chips() },
  { title: "Dropped tracklets", unit: "/s", tag: "measured",
    lines: () => [["all cameras", "--c4", (p) => p.dropped]] },
];

function chips() {
  const names = new Set(store.points.flatMap((point) => Object.keys(point.energy_uj)));
  return [...names].map((name, index) => [name, `--c${(index % 4) + 1}`, (p) => p.energy_uj[name] ?? null]);
}

export function curvesView(main) {
  const drawn = CHARTS.map((chart) => {
    const canvas = el("canvas", { role: "img", "aria-label": `${chart.title}, last five minutes` });
    const now = el("span", { class: "muted number" });
    const legend = el("div", { class: "legend" });
    return { chart, canvas, now, legend, figure: el("figure", { class: "chart" },
      el("figcaption", {}, el("b", {}, chart.title), now), legend, canvas) };
  });
  main.append(el("div", { class: "head" }, el("h1", {}, "Curves"),
    el("span", { class: "muted" }, "last five minutes; programs read ", el("a", { href: "/metrics" }, "/metrics"))),
  el("div", { class: "charts" }, drawn.map((one) => one.figure)));
  const show = () => drawn.forEach(draw);
  show();
  addEventListener("resize", show);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", show);
  const offs = [on("second", show), on("hello", show)];
  return () => {
    offs.forEach((off) => off());
    removeEventListener("resize", show);
    dark.removeEventListener("change", show);
  };
}

function draw({ chart, canvas, now, legend }) {
  const points = store.points;
  const bands = chart.bands?.() ?? [];
  const lines = chart.lines?.() ?? [];
  legend.replaceChildren(...[...lines, ...bands].map(([name, key]) => {
    const mark = el("i");
    mark.style.background = `var(${key})`;
    return el("span", {}, mark, name);
  }), el("span", { class: "tag" }, chart.tag));
  const highest = Math.max(...points.flatMap((p) => [
    ...lines.map(([, , of]) => of(p) ?? 0), ...bands.map(([, , of]) => of(p)?.high ?? of(p)?.low ?? 0)]), 0);
  const top = nice(highest);
  const ratio = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const left = 44, bottom = height - 18, right = width - 4;
  const x = (index) => right - ((points.length - 1 - index) / 299) * (right - left);
  const y = (value) => bottom - (value / top) * (bottom - 8);
  axes(pen, { left, right, bottom, top, y });
  for (const [, key, of] of bands) band(pen, points, colour(key), of, x, y);
  for (const [, key, of] of lines) line(pen, points, colour(key), of, x, y);
  const last = [...points].reverse().find((p) => [...lines].some(([, , of]) => of(p) !== null));
  const priced = bands.length ? [...points].reverse().map(bands[0][2]).find((one) => one !== null) : null;
  now.textContent = last ? `${short(lines[0][2](last))} ${chart.unit}`
    : priced ? `${bands[0][0]}: ${short(priced.low, 2)}–${short(priced.high, 2)} ${chart.unit}` : chart.unit;
}

function nice(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].find((step) => step * power >= value) * power;
}

function axes(pen, { left, right, bottom, top, y }) {
  pen.font = "11px sans-serif";
  pen.fillStyle = colour("--soft");
  pen.strokeStyle = colour("--line");
  pen.lineWidth = 1;
  for (const part of [0, 0.5, 1]) {
    const at = Math.round(y(part * top)) + 0.5;
    pen.beginPath();
    pen.moveTo(left, at);
    pen.lineTo(right, at);
    pen.stroke();
    pen.textAlign = "right";
    pen.fillText(short(part * top), left - 7, at + 4);
  }
  pen.textAlign = "left";
  pen.fillText("5 min ago", left, bottom + 14);
  pen.textAlign = "right";
  pen.fillText("now", right, bottom + 14);
}

function line(pen, points, ink, of, x, y) {
  pen.strokeStyle = ink;
  pen.lineWidth = 1.8;
  pen.lineJoin = "round";
  pen.beginPath();
  let begun = false;
  points.forEach((point, index) => {
    const value = of(point);
    if (value === null) { return; }
    if (begun) pen.lineTo(x(index), y(value)); else pen.moveTo(x(index), y(value));
    begun = true;
  });
  pen.stroke();
}

// An interval each second: the bounds that are known.
function band(pen, points, ink, of, x, y) {
  pen.fillStyle = ink;
  pen.globalAlpha = 0.55;
  points.forEach((point, index) => {
    const found = of(point);
    if (found === null || found.low === null) return;
    const high = found.high ?? found.low;
    pen.fillRect(x(index) - 1, y(high), 2.4, Math.max(2, y(found.low) - y(high)));
  });
  pen.globalAlpha = 1;
}
