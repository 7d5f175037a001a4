// What an event's page says of its sale follows the sale while somebody waits on it: by the state that the waiting room asks for anyway, and
// without moving what is being read. room.js loads it when something is otherwise than the page says.

import { path, phaseName, refreshed } from './event.js';
import { api } from './page.js';
import { t, when } from './words.js';

const about = document.getElementById('about');
const copy = (id) => { const from = document.getElementById(id); return from && from.content.firstElementChild.cloneNode(true); };

export function follow(state) {
  about.dataset.phase = state.phase;
  const now = document.getElementById('phase');
  if (now) now.textContent = phaseName(state.phase);
  for (const id of ['joining_at', 'opens_at', 'ends_at']) {
    const node = document.getElementById(id);
    if (!node || !state[id] || Date.parse(node.dataset.at) === Date.parse(state[id])) continue;
    node.dataset.at = state[id];
    node.textContent = when(state[id], state.time_zone);
  }
  // A notice that came with the page gives its place to the next one, or stays empty; otherwise the word above has to do.
  const [notice, next] = [about.querySelector('.notice.phase'), copy(`about-${state.phase}`)];
  if (notice && next) notice.replaceWith(next); else if (notice) notice.classList.add('over');
  if (!['sold_out', 'ended'].includes(state.phase)) return;
  const [ask, later] = [copy('about-ask'), about.querySelector('.later')];
  if (!ask || (later && later.dataset.ask)) return;
  ask.dataset.ask = '1';
  if (later) later.replaceWith(ask); else about.append(ask); // at the end, where it moves nothing
}

/** Shows in the list of sales how each stands, when another has begun. Answers whether what is known of the event is as new as the state. */
export async function renewSales(state) {
  const { status, data } = await api('GET', path);
  if (status !== 200 || ((data.on_sale || {}).presale || '') !== (state.presale || '')) return false; // a cache is a moment behind
  refreshed(data);
  for (const sale of data.sales || []) {
    const line = document.querySelector(`[data-sale="${sale.presale || ''}"]`);
    if (!line) continue;
    line.querySelector('.badge').textContent = t(`room.state_${sale.state}`);
    if (['on', 'joining'].includes(sale.state)) line.setAttribute('aria-current', 'true'); else line.removeAttribute('aria-current');
  }
  return true;
}
