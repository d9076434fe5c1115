// Questions to the person before the page: native dialogs, which hold the focus and close on Esc.
import { get } from "./api.js";
import { el } from "./dom.js";

function open(title, content, { yes, danger = false, no = "Cancel", read = () => true }) {
  return new Promise((resolve) => {
    const confirm = yes === null ? null
      : el("button", { type: "submit", class: danger ? "main danger" : "main" }, yes);
    const dialog = el("dialog", { "aria-labelledby": "dialog-title" },
      el("form", { method: "dialog", onsubmit: (event) => {
        event.preventDefault();
        const value = read();
        if (value !== null) { resolve(value); dialog.close(); }
      } },
      el("h2", { id: "dialog-title" }, title), content,
      el("div", { class: "buttons" },
        el("button", { type: "button", onclick: () => dialog.close() }, no), confirm)));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(null); });
    document.body.append(dialog);
    dialog.showModal();
    dialog.querySelector("input")?.focus();
  });
}

export async function askName(title, words, { yes, value = "" }) {
  const { persons } = await get("/api/persons", { limit: 200 });
  const known = persons.filter((one) => one.named).map((one) => one.person);
  const input = el("input", { type: "text", id: "dialog-name", list: "dialog-known", maxlength: 200,
    value, autocomplete: "off", required: true });
  const content = el("div", {}, el("p", {}, words),
    el("label", { class: "field", for: "dialog-name" }, "Name"), input,
    el("datalist", { id: "dialog-known" }, known.map((name) => el("option", { value: name }))));
  return open(title, content, { yes, read: () => input.value.trim() || null });
}

export function askSure(title, words, yes) {
  return open(title, el("p", {}, words), { yes, danger: true });
}

export async function askToken(login) {
  const wrong = el("p", { role: "alert" });
  for (;;) {
    const input = el("input", { type: "password", id: "dialog-token", autocomplete: "current-password",
      required: true });
    const content = el("div", {},
      el("p", {}, "This server asks for the token that it was started with."), wrong,
      el("label", { class: "field", for: "dialog-token" }, "Token"), input);
    const token = await open("Token", content, { yes: "Enter", read: () => input.value || null });
    if (token === null) continue;
    try { return await login(token); } catch (error) { wrong.textContent = error.message; }
  }
}

export function help() {
  const rows = [["1 – 4", "Cameras, persons, search, curves"], ["/", "find a person by name"],
    ["e", "frames, frames with events, events"], ["Esc", "close a dialog"], ["?", "this help"]];
  return open("Keys", el("dl", {}, rows.map(([key, words]) =>
    [el("dt", {}, el("kbd", {}, key)), el("dd", {}, words)])), { yes: null, no: "Close" });
}
