// Elements, words and times; every text goes in as text, never as HTML.

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter((one) => one !== null && one !== undefined));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

export function toast(text) {
  const made = el("div", { class: "toast" }, text);
  document.getElementById("toasts").append(made);
  setTimeout(() => made.remove(), 4500);
}

// A visit is camera/run/track: what to show of it where no one has said who it was.
export function visitWords(visit) {
  const parts = visit.split("/");
  return parts.length === 3 ? `${parts[0]} #${parts[2]}` : visit;
}

export function personWords(person, named) {
  return named ? person : `unknown, ${visitWords(person)}`;
}

export function kindOf(state) {
  if (state.person === null) return "unknown";
  return state.named ? "known" : "again";
}

export function stateWords(state) {
  if (state.person === null) return "unknown";
  return state.named ? state.person : "unknown, seen before";
}

export function clock(timeUs) {
  if (timeUs === null || timeUs === undefined) return "time not known";
  const then = new Date(timeUs / 1000);
  const time = then.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  const today = then.toDateString() === new Date().toDateString();
  return today ? time : `${then.toLocaleDateString()} ${time}`;
}

export function short(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  for (const [limit, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= limit) return `${Number((value / limit).toPrecision(digits))}${unit}`;
  }
  return String(Number(value.toPrecision(digits)));
}

export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

export function face(address, words) {
  const shown = el("img", { class: "face", src: address, alt: words, loading: "lazy", width: 46, height: 78 });
  // Nothing is stored of most persons: an empty place, not a broken picture.
  shown.addEventListener("error", () => {
    shown.replaceWith(el("span", { class: "face", role: "img", "aria-label": "no picture stored" }));
  });
  return shown;
}

export const pictureOf = {
  entry: (number) => `/api/entries/${number}/picture`,
  visit: (visit, stamp) => `/api/visit/picture?visit=${encodeURIComponent(visit)}&t=${stamp ?? 0}`,
};
