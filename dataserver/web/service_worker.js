/* Lets the chat page open without a connection: its own files are kept, and asked for anew whenever the server answers.
 * Nothing under /v1 passes here, so nobody's data is ever kept by it. */

const KEPT = 'chat-page';
const SHELL = '/';
const WAIT_MS = 3000;

self.addEventListener('install', (event) => {
  event.waitUntil(caches.open(KEPT).then((cache) => cache.add(SHELL)).then(() => self.skipWaiting()));
});

self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

self.addEventListener('fetch', (event) => {
  const address = new URL(event.request.url);
  const isOwn = address.origin === self.location.origin && event.request.method === 'GET';
  if (!isOwn || !(address.pathname === SHELL || address.pathname.startsWith('/web/'))) return;
  event.respondWith(fresh(address.pathname));
});

/* The server's file if it answers soon, or else the kept one. */
async function fresh(path) {
  const cache = await caches.open(KEPT);
  const kept = await cache.match(path);
  try {
    const answer = await fetch(path, kept ? { signal: AbortSignal.timeout(WAIT_MS) } : {});
    if (answer.status === 200) await cache.put(path, answer.clone());
    if (answer.ok || !kept) return answer;
  } catch (error) {
    if (!kept) throw error;
  }
  return kept;
}
