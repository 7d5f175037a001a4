// What a browser keeps of the tickets it has shown, so that they can be shown without a network: the tickets themselves, and by its worker
// (offline.js) the event's page with its scripts. Nothing else is kept, and all of it goes when somebody signs out here.

const prefix = 'fairgate-tickets:';
const pages = 'fairgate-page:'; // as offline.js names them
const LIFE = 30 * 24 * 3600e3; // after the start, in milliseconds

/** The event, its tickets by id, and by how much the server's clock is ahead; null where none are kept. */
export function kept(slug) {
  try {
    const all = JSON.parse(localStorage.getItem(prefix + slug));
    if (!all || !Object.keys(all.tickets).length) return null;
    if (Date.now() < new Date(all.event.starts_at).getTime() + LIFE) return all;
    localStorage.removeItem(prefix + slug);
  } catch { /* not ours, or there is no storage */ }
  return null;
}

/** Keeps tickets besides those already kept, drops others, and has the page kept that shows them. */
export function keep(slug, event, tickets, dropped, ahead) {
  const all = { ...(kept(slug) || {}).tickets };
  for (const ticket of tickets) all[ticket.id] = ticket;
  for (const id of dropped) delete all[id];
  const { name, starts_at, time_zone, venue, tiers } = event;
  try {
    if (!Object.keys(all).length) return localStorage.removeItem(prefix + slug);
    localStorage.setItem(prefix + slug, JSON.stringify({ event: { name, starts_at, time_zone, venue, tiers: (tiers || []).map((t) => ({ id: t.id, name: t.name })) }, tickets: all, ahead }));
  } catch { return undefined; } // full, or forbidden: then there is nothing off line
  return navigator.serviceWorker?.register('/static/offline.js', { scope: `/e/${encodeURIComponent(slug)}` }).catch(() => {});
}

/** Forgets all tickets of all events in this browser, and the pages that show them. */
export async function forget() {
  for (const key of Object.keys(localStorage)) if (key.startsWith(prefix)) localStorage.removeItem(key);
  const workers = (await navigator.serviceWorker?.getRegistrations()) || [];
  await Promise.all(workers.filter((worker) => new URL(worker.scope).pathname.startsWith('/e/')).map((worker) => worker.unregister()));
  if (!globalThis.caches) return;
  await Promise.all((await caches.keys()).filter((name) => name.startsWith(pages)).map((name) => caches.delete(name)));
}
