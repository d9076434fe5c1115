// Search by a picture or by a visit; results are persons, the most similar first.
import { post, postPicture } from "./api.js";
import { clock, el, face, personWords, pictureOf, stateWords, visitWords } from "./dom.js";
import { store } from "./store.js";

export function searchView(main, visit) {
  const results = el("div", { id: "results" });
  const input = el("input", { type: "file", accept: "image/jpeg,image/png", "aria-label": "Picture of a person" });
  const drop = el("label", { class: "drop" }, input, el("b", {}, "Choose or drop a picture"),
    "JPEG or PNG of one person, cut close. It is not stored.");
  const recent = [...store.visits.values()].reverse().slice(0, 8);
  main.append(el("div", { class: "split" },
    el("section", { "aria-label": "Results" }, el("div", { class: "head" }, el("h1", {}, "Search")), drop, results),
    el("section", { "aria-label": "Search by track" },
      el("div", { class: "head" }, el("h1", {}, "By track")),
      recent.length ? el("ul", { class: "list" }, recent.map(pick))
        : el("p", { class: "empty" }, "No one has been seen yet."))));
  let address = null;
  async function show(words, picture, ask) {
    results.replaceChildren(el("p", { class: "muted", role: "status" }, "Searching…"));
    try {
      const found = await ask();
      results.replaceChildren(...resultList(found, words, picture));
    } catch (error) {
      results.replaceChildren(el("p", { class: "empty", role: "alert" }, error.message));
    }
  }
  function byPicture(file) {
    if (!file) return;
    if (address) URL.revokeObjectURL(address);
    address = URL.createObjectURL(file);
    show(`Like the picture ${file.name}`, address, () => postPicture(file));
  }
  input.addEventListener("change", () => byPicture(input.files[0]));
  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
      if (name === "drop") byPicture(event.dataTransfer.files[0]);
    });
  }
  if (visit) {
    show(`Like ${visitWords(visit)}`, pictureOf.visit(visit), () => post("/api/search/track", { visit, top: 12 }));
  }
  return () => { if (address) URL.revokeObjectURL(address); };
}

function pick(visit) {
  return el("li", {}, el("a", { class: "row", href: `#search=${encodeURIComponent(visit.visit)}` },
    face(pictureOf.visit(visit.visit, visit.time_us), ""),
    el("div", {}, el("div", { class: "who" }, stateWords(visit)),
      el("div", { class: "sub number" }, `${visitWords(visit.visit)} · ${clock(visit.time_us)}`))));
}

function resultList(found, words, picture) {
  const head = el("div", { class: "asked" }, face(picture, "what was asked"),
    el("div", {}, el("h2", {}, words), found.note ? el("p", { class: "small muted" }, found.note) : null));
  if (found.hits.length === 0) return [head, el("p", { class: "empty" }, "No one else is in the gallery.")];
  return [head, el("ol", { class: "grid" }, found.hits.map((hit) => {
    const bar = el("i");
    bar.style.width = `${Math.max(0, Math.min(1, hit.cosine)) * 100}%`;
    return el("li", {}, el("a", { class: "row", href: `#person=${encodeURIComponent(hit.person)}` },
      face(pictureOf.entry(hit.entry), ""),
      el("div", {}, el("div", { class: `who ${hit.named ? "known" : "unknown"}` }, personWords(hit.person, hit.named)),
        el("div", { class: "sub number" }, [hit.camera, clock(hit.time_us)].filter(Boolean).join(" · ")),
        el("div", { class: "sub number" }, `cosine ${hit.cosine.toFixed(3)}`),
        el("span", { class: "meter", "aria-hidden": "true" }, bar))));
  }))];
}
