// What is done to persons: each asks, tells the server, and says what came of it.
import { post } from "./api.js";
import { askName, askSure } from "./dialogs.js";
import { count, personWords, toast } from "./dom.js";

async function done(action) {
  try { return await action(); } catch (error) { toast(error.message); return null; }
}

export async function confirmVisit(visit) {
  const known = visit.person !== null && visit.named;
  const name = await done(() => askName("Who is it?",
    "The visit's entries get this name. A name that is in the gallery joins the two.",
    { yes: "Confirm", value: known ? visit.person : "" }));
  if (name === null) return null;
  return done(async () => {
    await post("/api/confirm", { visit: visit.visit, person: name });
    toast(`Confirmed: ${name}`);
    return name;
  });
}

export async function mergeInto(person, named) {
  const into = await done(() => askName("Two persons are one",
    `All visits of ${personWords(person, named)} go to:`, { yes: "Merge" }));
  if (into === null) return null;
  return done(async () => {
    const { entries } = await post("/api/merge", { person, into });
    toast(`Merged: ${count(entries, "entry", "entries")} now ${into}`);
    return into;
  });
}

export async function rename(person, named) {
  const name = await done(() => askName(named ? "Rename" : "Who is it?",
    "All visits get this name.", { yes: "Save", value: named ? person : "" }));
  return name;
}

export async function splitOff(entries) {
  const name = await done(() => askName("Another person",
    `${count(entries.length, "entry", "entries")} go to:`, { yes: "Split off" }));
  if (name === null) return null;
  return done(async () => {
    const { person } = await post("/api/split", { entries, person: name });
    toast(`Split off: ${person}`);
    return person;
  });
}

export async function forget(person, named, entries) {
  const words = personWords(person, named);
  const sure = await askSure(`Forget ${words}?`,
    `${count(entries, "entry", "entries")}, embeddings and pictures are erased from the gallery, ` +
    "its index and its free pages. This cannot be undone.", "Forget");
  if (sure === null) return null;
  return done(async () => {
    const found = await post("/api/forget", { person });
    toast(`Forgotten: ${count(found.entries, "entry", "entries")} erased`);
    return true;
  });
}
