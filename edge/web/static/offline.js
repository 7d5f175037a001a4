// The worker of one event's page, which is its whole scope. It keeps that page and its parts as they last came, and gives them where the
// network does not. It is registered once tickets were shown (kept.js). It touches no other request: no call of the interface, no state of
// the waiting room, nothing that changes anything.

const page = new URL(self.registration.scope).pathname;
const store = `fairgate-page:${page}`;
const parts = ['about.js', 'app.css', 'app.js', 'challenge.js', 'choose.js', 'event.js', 'hold.js', 'icon.svg', 'kept.js', 'layout.js', 'mapinput.js', 'order.js', 'owner.js', 'page.js', 'receive.js', 'room.js', 'seatlist.js', 'seatmap.js', 'seatpaint.js', 'seats.js', 'shop.js', 'ticket.js', 'uqr.js',
  'words.js', 'words.de.json', 'words.en.json', 'words.es.json'].map((name) => `/static/${name}`);
const patience = 3000; // milliseconds: at a gate the network is often there and does not answer
const DEAF = 30e3; // milliseconds for which the page's parts are not asked for again where the page itself did not come
let deafUntil = 0;

self.addEventListener('install', (event) => {
  self.skipWaiting();
  event.waitUntil(caches.open(store).then((kept) => kept.addAll([page, ...parts].map((path) => new Request(path, { cache: 'no-cache' })))));
});

self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== 'GET' || origin !== self.location.origin) return;
  if (request.mode === 'navigate' ? pathname !== page : !parts.includes(pathname)) return;
  event.respondWith(newest(event, pathname));
});

async function newest(event, pathname) {
  const old = await caches.open(store).then((kept) => kept.match(pathname));
  if (old && event.request.mode !== 'navigate' && Date.now() < deafUntil) return old;
  const fetched = fetch(event.request).then(async (response) => {
    if (response.status === 200 && !response.redirected && response.headers.get('Cache-Control') !== 'no-store' && (await caches.has(store))) { // it may have been forgotten meanwhile
      const copy = response.clone();
      event.waitUntil(caches.open(store).then((kept) => kept.put(pathname, copy)));
    }
    return response;
  });
  if (!old) return fetched;
  const late = new Promise((done) => { setTimeout(() => done(null), patience); });
  const response = await Promise.race([fetched.catch(() => null), late]);
  deafUntil = response ? 0 : Date.now() + DEAF;
  return response && response.status < 500 ? response : old;
}
