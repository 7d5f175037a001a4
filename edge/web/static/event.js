// What the parts of an event's page share: the view, what this browser remembers, and the way from part to part. A part's script is loaded
// when it is gone to, so that who waits loads no more than the waiting room.

import { el, jitter, pause, say } from './page.js';
import { has, more, t, when } from './words.js';

export const slug = decodeURIComponent(location.pathname.split('/')[2] || '');
export const path = `/v1/events/${encodeURIComponent(slug)}`;

const view = document.getElementById('view');
let leave = () => {}; // ends what the part shown keeps up to date
let stood = ''; // the part shown last
let moved = false; // another is to be shown

/** Shows nodes instead of whatever is shown. */
export function show(...nodes) {
  left();
  const inside = view.contains(document.activeElement);
  view.replaceChildren(...nodes);
  view.removeAttribute('aria-busy');
  if (moved && view.getBoundingClientRect().top < 0) view.scrollIntoView();
  if (!view.contains(document.activeElement) && (inside || (moved && document.activeElement === document.body))) here(); // what is disabled has lost it before
  moved = false;
}

/** Who goes by keys, and was on something that is gone, goes on from the view and not from the top of the page. */
export function here() {
  view.tabIndex = -1;
  view.focus({ preventScroll: true });
}

/** Has a function called when something else is shown. */
export const onLeave = (ends) => { leave = ends; };

/** Ends what the part shown keeps up to date. */
export function left() {
  leave();
  leave = () => {};
}

const STEPS = ['join', 'draw', 'wait', 'buy', 'ticket'];

/** Says which part of the page this is, room, shop or order, and at which step to a ticket the buyer is. */
export function at(part, step) {
  document.body.dataset.part = part;
  moved ||= Boolean(stood) && stood !== part;
  stood = part;
  for (const card of document.querySelectorAll('.unfinished')) card.hidden = part === 'order'; // it is what the page shows
  const present = STEPS.indexOf(step);
  [...document.getElementById('steps').children].forEach((node, i) => {
    node.classList.toggle('done', i < present);
    if (i === present) node.setAttribute('aria-current', 'step'); else node.removeAttribute('aria-current');
  });
}

/** The event as /v1/events/{id} shows it. */
export let event;

export function headline(data) {
  event = data;
  document.title = t('common.title', { page: event.name });
  document.getElementById('title').textContent = event.name;
  document.getElementById('when').textContent = `${when(event.starts_at, event.time_zone)} · ${event.venue.name}, ${event.venue.city}`;
}

/** Takes what changes of the event while it is sold. */
export const refreshed = (data) => { if (data.tiers) event = data; };

export const tierName = (id) => ((event.tiers || []).find((tier) => tier.id === id) || { name: id }).name;

export const fact = (name, value) => el('div', {}, el('dt', {}, name), el('dd', {}, value));

export const phaseName = (phase) => (has(`phase.${phase}`) ? t(`phase.${phase}`) : phase);

/** What this browser remembers of the event: pass data, hold and order. Secrets are in cookies that scripts cannot read. */
export const memory = {
  read() { try { return JSON.parse(localStorage.getItem(`fairgate:${slug}`)) || {}; } catch { return {}; } },
  write(change) { localStorage.setItem(`fairgate:${slug}`, JSON.stringify({ ...memory.read(), ...change })); },
};

/** A part's script, and the words that all but the waiting room need. Where one does not come, the page is loaded anew as soon as there is a network: browsers remember failed imports. */
async function part(load, words = more) {
  try { return (await Promise.all([load(), words()]))[0]; } catch {
    for (;;) {
      say(t('common.offline'));
      await pause(jitter(2000));
      if (await fetch(location.pathname, { method: 'HEAD' }).then((response) => response.ok, () => false)) location.reload();
    }
  }
}

/** Has scripts loaded before they are asked for, all at once and not one after another. */
export const ahead = (...names) => { more().catch(() => {}); document.head.append(...names.map((name) => el('link', { rel: 'modulepreload', href: `/static/${name}.js` }))); };

const room = () => part(() => import('./room.js'), () => {});
const choosing = () => part(() => import('./shop.js'));
const holding = () => part(() => import('./hold.js'));
const receiving = () => part(() => import('./receive.js'));
const buying = () => part(() => import('./order.js'));

export const waitingRoom = async () => { at('room', 'join'); return (await room()).waitingRoom(); };
export const shop = async (problem, again) => { at('shop', 'buy'); return (await choosing()).shop(problem, again); };
export const holdPage = async (id, known) => { at('order', 'buy'); return (await holding()).holdPage(id, known); };
export const orderPage = async (id) => { at('order', 'buy'); return (await buying()).orderPage(id); };
export const ticketsPage = async (order) => { at('order', 'ticket'); return (await buying()).ticketsPage(order); };
export const offline = async (again) => { at('order', 'ticket'); return (await buying()).offline(again); };
export const resume = async (id, token) => (await buying()).resume(id, token);
export const receivePage = async (id) => { at('order', 'ticket'); return (await receiving()).receivePage(id); };
