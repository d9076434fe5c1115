// Questions to the server, and its WebSocket.

let onDenied = () => {};
export function whenDenied(action) { onDenied = action; }

async function answered(response) {
  if (response.status === 401) onDenied();
  const values = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(values.error ?? `the server answered ${response.status}`);
  return values;
}

export async function get(path, parameters = {}) {
  const query = new URLSearchParams(parameters).toString();
  return answered(await fetch(query ? `${path}?${query}` : path));
}

export async function post(path, values) {
  return answered(await fetch(path, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(values),
  }));
}

export async function postPicture(file) {
  return answered(await fetch("/api/search/picture?top=12", {
    method: "POST", headers: { "content-type": file.type || "image/jpeg" }, body: file,
  }));
}

// Listeners by kind of message: hello, second, camera, seen, people, picture, link.
const listeners = new Map();
export function on(kind, action) {
  if (!listeners.has(kind)) listeners.set(kind, new Set());
  listeners.get(kind).add(action);
  return () => listeners.get(kind).delete(action);
}
function tell(kind, values) {
  for (const action of listeners.get(kind) ?? []) action(values);
}

let socket = null;
let watched = [];
let pause = 500;

export function watch(cameras) {
  watched = cameras;
  if (socket !== null && socket.readyState === WebSocket.OPEN) {
    socket.send(JSON.stringify({ type: "watch", cameras: watched }));
  }
}

export function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/api/live`);
  socket.binaryType = "arraybuffer";
  socket.addEventListener("open", () => {
    pause = 500;
    tell("link", "live");
    watch(watched);
  });
  socket.addEventListener("message", (event) => {
    if (typeof event.data === "string") {
      const message = JSON.parse(event.data);
      tell(message.type, message);
    } else {
      tell("picture", unpacked(event.data));
    }
  });
  socket.addEventListener("close", () => {
    tell("link", "lost");
    setTimeout(connect, pause);
    pause = Math.min(8000, pause * 2);
  });
}

// Length of the head (uint32, little-endian), the head as JSON, then its parts.
function unpacked(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let place = 4 + length;
  const blobs = head.parts.map((size, index) => {
    const part = new Blob([new Uint8Array(buffer, place, size)],
      { type: index === 0 ? "image/jpeg" : "image/png" });
    place += size;
    return part;
  });
  return { ...head, blobs };
}
