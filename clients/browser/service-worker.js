// @ts-check
/**
 * Keeps the page's own files, so that it opens, and says what is the matter, while the server is away. The server's
 * copy always comes first: an old page must not speak to a new server.
 */

const CACHE = "parley-shell";
const PATIENCE_MS = 3000;
const SHELL = [
  "./",
  "app.js",
  "conversation.js",
  "door.js",
  "element.js",
  "floor.js",
  "fonts/figtree.woff2",
  "frames.js",
  "icons/icon-192.png",
  "icons/icon.svg",
  "jitter.js",
  "line-worker.js",
  "line.js",
  "link.js",
  "manifest.webmanifest",
  "microphone-worklet.js",
  "microphone.js",
  "orb-worker.js",
  "orb.js",
  "outbox.js",
  "pcm.js",
  "place.js",
  "push-to-talk.js",
  "resampler.js",
  "sent.js",
  "sentences.js",
  "settings-sheet.js",
  "settings.js",
  "speaker-worklet.js",
  "speaker.js",
  "styles/layout.css",
  "styles/sheets.css",
  "styles/stage.css",
  "styles/talk.css",
  "styles/theme.css",
  "theme.js",
  "transcript.js",
  "voice.js",
  "waterfall.js",
];

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const shell = new Set(SHELL.map((path) => new URL(path, worker.registration.scope).href));

worker.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL)));
  void worker.skipWaiting();
});
worker.addEventListener("activate", (event) => event.waitUntil(worker.clients.claim()));
worker.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  url.search = url.hash = "";
  // Only these files: what is said goes past this worker, and so does everything else.
  if (event.request.method === "GET" && shell.has(url.href)) event.respondWith(newest(event.request, url.href));
});

/**
 * @param {Request} request
 * @param {string} key
 * @returns {Promise<Response>}
 */
async function newest(request, key) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request, { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (response.ok) void cache.put(key, response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(key);
    if (kept) return kept;
    throw error;
  }
}
