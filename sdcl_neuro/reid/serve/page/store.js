// What the page knows, filled by the WebSocket; views read it and listen for changes.
import { get, on } from "./api.js";

export const store = {
  cameras: new Map(), // by name
  visits: new Map(), // by name, the latest last
  points: [], // seconds of the curves
  state: null,
  status: null,
};
const KEPT_VISITS = 60;
const KEPT_POINTS = 300;

function takeState(message) {
  store.state = message;
  for (const camera of message.cameras) store.cameras.set(camera.name, camera);
}

export function takeVisit(visit) {
  store.visits.delete(visit.visit);
  if (visit.time_us === 0) return; // forgotten
  store.visits.set(visit.visit, visit);
  while (store.visits.size > KEPT_VISITS) store.visits.delete(store.visits.keys().next().value);
}

export async function refreshVisits() {
  const { visits } = await get("/api/recent", { limit: 40 });
  store.visits.clear();
  for (const visit of visits.reverse()) takeVisit(visit);
}

export function begin() {
  on("hello", (message) => {
    store.points = message.points.slice(-KEPT_POINTS);
    takeState(message);
  });
  on("second", (message) => {
    store.points.push(message.point);
    if (store.points.length > KEPT_POINTS) store.points.shift();
    takeState(message);
  });
  on("camera", (camera) => store.cameras.set(camera.name, camera));
  on("seen", takeVisit);
}
