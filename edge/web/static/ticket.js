// Tickets: their cards, their codes, and the large white view for the gate. A code is the server's picture where the network answers,
// and drawn here otherwise, with the rotating part of now (RFC 6238, from the seed that the ticket came with).

import { el } from './page.js';
import { t } from './words.js';

const patience = 2500; // milliseconds until a picture is drawn here instead

/** What the ticket's code says at an instant of the server's clock, in milliseconds. */
export async function codeAt(ticket, now) {
  if (!ticket.rotating) return ticket.code;
  const { seed, period, digits } = ticket.rotating;
  const key = await crypto.subtle.importKey('raw', Uint8Array.from(seed.match(/../g), (h) => parseInt(h, 16)), { name: 'HMAC', hash: 'SHA-1' }, false, ['sign']);
  const counter = new DataView(new ArrayBuffer(8));
  counter.setBigUint64(0, BigInt(Math.floor(now / 1000 / parseFloat(period))));
  const mac = new DataView(await crypto.subtle.sign('HMAC', key, counter));
  const number = mac.getUint32(mac.getUint8(19) & 15) & 0x7fffffff;
  return `${ticket.code}.${String(number % 10 ** digits).padStart(digits, '0')}`;
}

async function fromServer(ticket) {
  const response = await fetch(`/v1/tickets/${ticket.id}`, { headers: { Accept: 'image/png' }, signal: AbortSignal.timeout(patience) });
  if (!response.ok) throw new Error(`no picture: ${response.status}`);
  return response.blob();
}

async function drawnHere(ticket, ahead) {
  const { renderSVG } = await import('./uqr.js');
  return new Blob([renderSVG(await codeAt(ticket, Date.now() + ahead), { ecc: 'M', border: 4 })], { type: 'image/svg+xml' });
}

/** The picture of a ticket's code, which keeps itself of now for as long as it is in the page. */
function picture(ticket, name, ahead) {
  const image = el('img', { alt: t('ticket.code_of', { name }), width: 272, height: 272 });
  const draw = () => fromServer(ticket).catch(() => drawnHere(ticket, ahead)).then((blob) => {
    const url = URL.createObjectURL(blob);
    image.addEventListener('load', () => URL.revokeObjectURL(url), { once: true });
    image.src = url;
  });
  draw().catch(() => !ticket.rotating && image.replaceWith(el('code', {}, ticket.code)));
  if (ticket.rotating) { // a picture is good for some time after its period, so half of one late is early enough; a lost answer is asked for again
    const turn = setInterval(() => { if (image.isConnected) draw().catch(() => {}); else clearInterval(turn); }, parseFloat(ticket.rotating.period) * 500);
  }
  return image;
}

/** Keeps the screen on until the function that it gives is called. */
function keepAwake() {
  let lock = null;
  let over = false;
  const ask = async () => {
    if (over || document.visibilityState !== 'visible') return;
    try {
      lock = await navigator.wakeLock.request('screen');
      if (over) await lock.release();
    } catch { /* the battery is low, or the browser cannot; the view goes on */ }
  };
  ask();
  document.addEventListener('visibilitychange', ask); // a lock ends when the page is not seen
  return () => { over = true; document.removeEventListener('visibilitychange', ask); if (lock) lock.release().catch(() => {}); };
}

/** Shows one ticket large on white, which is as bright as a page can make a screen. Escape, back and the button end it. */
function atGate(ticket, name, ahead) {
  const view = el('dialog', { class: 'atgate', 'aria-label': t('ticket.at_gate', { name }) }, picture(ticket, name, ahead), el('p', {}, name),
    el('button', { class: 'plain', onclick: () => view.close() }, t('ticket.close')));
  const back = () => view.close();
  document.body.append(view);
  history.pushState({ gate: true }, '');
  addEventListener('popstate', back);
  const sleep = keepAwake();
  view.addEventListener('close', () => {
    removeEventListener('popstate', back);
    if (history.state && history.state.gate) history.back();
    sleep();
    view.remove();
  }, { once: true });
  view.showModal();
}

/** A ticket's card. ahead is by how many milliseconds the server's clock is ahead of this one; more is what else stands there. */
export function ticketCard(ticket, tier, ahead, ...more) {
  const place = ticket.seat.replaceAll('/', ' · ');
  const name = ticket.seat ? `${tier} · ${ticket.seat}` : tier;
  const { apple, google } = ticket.wallets || {};
  const listed = ticket.hold === 'listed'; // its code opens nothing
  return el('section', { class: 'card ticket' }, el('h2', {}, tier, place ? el('small', {}, place) : null), listed ? null : picture(ticket, name, ahead),
    listed ? null : el('div', { class: 'actions' }, el('button', { onclick: () => atGate(ticket, name, ahead) }, t('ticket.show')),
      apple && el('a', { class: 'button plain', href: apple }, t('ticket.apple')), google && el('a', { class: 'button plain', href: google, rel: 'noreferrer' }, t('ticket.google'))), ...more);
}
