// What an owner can do with a ticket besides showing it: hand it on, sell it, give it back, note it in a calendar. What the event does not
// allow is not offered; whatever is refused all the same is said beside its button.

import { el, api, newKey, patiently } from './page.js';
import { money, lang, said, t, when } from './words.js';

const LISTING = ['open', 'selling'];
const EVENING = 3 * 3600e3; // how long an evening takes in a calendar, in milliseconds

/** The actions of a ticket. order is what it was bought with, if the browser may see it; done() shows the tickets anew. */
export function ownerPanel(ticket, event, order, done) {
  const node = el('div', { class: 'owner' });
  const parts = [];
  if (ticket.hold === 'offered') parts.push(offeredPart(ticket, event, done));
  if (ticket.hold === 'listed') parts.push(listedPart(ticket, event, done));
  const may = ticket.may || {};
  if (may.transfer) parts.push(part('transfer.title', () => transferForm(ticket, done)));
  if (may.resell) parts.push(part('resale.title', () => sellForm(ticket, (price) => patiently('POST', `/v1/tickets/${ticket.id}/listing`, { body: { price }, key: newKey() }), 'resale.go', done)));
  if (!ticket.hold && order && order.refund_terms && order.id === ticket.order_id) parts.push(part('refund.title', () => refundForm(ticket, order, done)));
  node.append(...parts, calendar(ticket, event));
  return node;
}

const part = (title, make) => { const box = el('div'); return el('details', { ontoggle: (e) => { if (e.target.open && !box.firstChild) box.append(make()); } }, el('summary', {}, t(title)), box); };

/** A button that does one thing once, and says beside it what went wrong. */
function doing(text, act, done, plain = true) {
  const wrong = el('p', { class: 'wrong', role: 'alert', hidden: true });
  const button = el('button', { type: 'button', class: plain ? 'plain' : null, onclick: async () => {
    if (button.disabled) return;
    button.disabled = true;
    wrong.hidden = true;
    const { status, data } = await act();
    if (status >= 200 && status < 300) { await done(data); return; }
    button.disabled = false;
    wrong.hidden = false;
    wrong.textContent = said(data);
  } }, text);
  return el('div', {}, wrong, el('div', { class: 'actions' }, button));
}

// ---- handing on

function transferForm(ticket, done) {
  const id = `to-${ticket.id}`;
  const wrong = el('p', { id: `${id}-wrong`, class: 'wrong', hidden: true });
  const to = el('input', { id, type: 'email', autocomplete: 'off', required: true, 'aria-describedby': `${id}-wrong` });
  const go = el('button', {}, t('transfer.go'));
  const keys = new Map(); // address → the key of the offer to it, however often it is sent
  return el('form', { novalidate: true, onsubmit: async (e) => {
    e.preventDefault();
    if (go.disabled) return;
    const blame = (text) => { wrong.hidden = !text; wrong.textContent = text; to.setAttribute('aria-invalid', String(Boolean(text))); if (text) to.focus(); };
    if (!to.value || !to.checkValidity()) { blame(t('shop.email_wrong')); return; }
    go.disabled = true;
    if (!keys.has(to.value)) keys.set(to.value, newKey());
    const { status, data } = await patiently('POST', `/v1/tickets/${ticket.id}/transfers`, { body: { email: to.value, language: lang }, key: keys.get(to.value) });
    if (status === 201 || status === 200) { await done(); return; }
    go.disabled = false;
    blame(said(data));
  } }, el('p', { class: 'quiet' }, t('transfer.lead')), el('label', { for: id }, t('transfer.email')), to, wrong, el('div', { class: 'actions' }, go));
}

function offeredPart(ticket, event, done) {
  const node = el('div', { class: 'notice' });
  api('GET', '/v1/transfers').then(({ data }) => {
    const offer = (data.given || []).find((one) => one.ticket_id === ticket.id && one.state === 'offered');
    if (offer) node.append(el('p', {}, t('transfer.offered', { to: offer.to, until: when(offer.expires_at, event.time_zone) })), doing(t('transfer.cancel'), () => patiently('DELETE', `/v1/transfers/${offer.id}`), done));
  });
  return node;
}

// ---- selling

/** Asks for a price and shows what becomes of it as it is typed, as the server reckons. send(price) puts it up. */
function sellForm(ticket, send, button, done, asked) {
  const box = el('div', {}, el('p', { class: 'quiet' }, t('resale.lead')));
  patiently('GET', `/v1/tickets/${ticket.id}/listing`).then(({ status, data: quote }) => {
    if (status !== 200) { box.append(el('p', { class: 'wrong' }, said(quote))); return; }
    const { currency } = quote.fee;
    const digits = new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits;
    const id = `ask-${ticket.id}`;
    const wrong = el('p', { id: `${id}-wrong`, class: 'wrong', role: 'alert', hidden: true });
    const first = asked === undefined ? quote.most && quote.most.minor : asked;
    const input = el('input', { id, inputmode: 'decimal', autocomplete: 'off', value: first ? (first / 10 ** digits).toFixed(digits) : null, 'aria-describedby': `${id}-wrong` });
    const facts = el('dl', { class: 'facts', 'aria-live': 'polite' });
    const go = el('button', {}, t(button));
    const minor = () => { const n = Number(input.value.trim().replace(',', '.')); return Number.isFinite(n) && n > 0 ? Math.round(n * 10 ** digits) : 0; };
    const blame = (text) => { wrong.hidden = !text; wrong.textContent = text; input.setAttribute('aria-invalid', String(Boolean(text))); };
    let timer = 0;
    let latest = 0;
    const reckon = async () => {
      const mine = ++latest;
      if (!minor()) { facts.replaceChildren(); return; }
      const { status: got, data } = await api('GET', `/v1/tickets/${ticket.id}/listing?asked=${minor()}`);
      if (mine !== latest) return; // something else was typed meanwhile
      if (got !== 200) { facts.replaceChildren(); blame(overCap(data, quote)); return; }
      blame('');
      const p = data.priced;
      facts.replaceChildren(...[['resale.buyer_pays', p.price], ['resale.you_get', p.you_get], ['resale.kept', { minor: p.organizer_share.minor + p.seller_fee.minor, currency }]]
        .map(([name, amount]) => el('div', {}, el('dt', {}, t(name)), el('dd', {}, money(amount)))));
    };
    input.addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(reckon, 350); });
    box.append(el('form', { novalidate: true, onsubmit: async (e) => {
      e.preventDefault();
      if (go.disabled) return;
      go.disabled = true;
      const { status: got, data } = await send({ minor: minor(), currency });
      if (got >= 200 && got < 300) { await done(); return; }
      go.disabled = false;
      blame(overCap(data, quote));
      input.focus();
    } }, el('p', {}, quote.cap ? t('resale.cap', { cap: money(quote.cap), most: money(quote.most) }) : t('resale.no_cap')), el('label', { for: id }, t('resale.ask', { currency })), input, wrong, facts, el('div', { class: 'actions' }, go)));
    reckon();
  });
  return box;
}

const overCap = (data, quote) => (data.code === 'price_over_cap' && quote.cap ? t('resale.cap', { cap: money(quote.cap), most: money(quote.most) }) : said(data));

function listedPart(ticket, event, done) {
  const node = el('div', { class: 'notice' }, el('p', {}, t('ticket.listed')));
  api('GET', '/v1/listings').then(({ data }) => {
    const listing = (data.listings || []).find((one) => one.ticket_id === ticket.id && LISTING.includes(one.state));
    if (!listing) return;
    node.append(el('p', {}, el('strong', {}, t('resale.for_sale', { price: money(listing.price), get: money(listing.you_get) }))));
    if (listing.state === 'selling') { node.append(el('p', {}, t('resale.selling'))); return; }
    node.append(part('resale.change', () => repriceForm(ticket, listing, done)), doing(t('resale.withdraw'), () => patiently('DELETE', `/v1/listings/${listing.id}`), done));
  });
  return node;
}

const repriceForm = (ticket, listing, done) => sellForm(ticket, (price) => patiently('PATCH', `/v1/listings/${listing.id}`, { body: { price } }), 'resale.change', done, listing.asked.minor);

/** What became of the listings of tickets that are no longer the owner's, by ticket. */
export async function soldOf(ids, zone) {
  const { data } = await api('GET', '/v1/listings');
  const sold = (data.listings || []).filter((one) => one.state === 'sold' && ids.includes(one.ticket_id));
  return new Map(sold.map((one) => [one.ticket_id, t('resale.sold', { get: money(one.you_get), from: when(one.paid_from, zone) })]));
}

// ---- giving back

function refundForm(ticket, order, done) {
  const key = newKey();
  return el('div', {}, el('p', {}, t(order.refund_terms.keeps_fee ? 'refund.text_fee' : 'refund.text')),
    doing(t('refund.go'), () => patiently('POST', `/v1/orders/${order.id}/refund`, { body: { tickets: [ticket.id] }, key }), done));
}

// ---- the calendar

/** A link to an entry for a calendar (RFC 5545). */
function calendar(ticket, event) {
  const stamp = (at) => new Date(at).toISOString().replace(/[-:]|\.\d+/g, '');
  const text = (value) => String(value).replace(/[\\,;]/g, (c) => `\\${c}`).replace(/\r?\n/g, ' ');
  const lines = ['BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//Fairgate//EN', 'BEGIN:VEVENT', `UID:${ticket.id}@${location.host}`, `DTSTAMP:${stamp(Date.now())}`, `DTSTART:${stamp(event.starts_at)}`,
    `DTEND:${stamp(new Date(event.starts_at).getTime() + EVENING)}`, `SUMMARY:${text(event.name)}`, `LOCATION:${text(`${event.venue.name}, ${event.venue.city}`)}`, `URL:${location.origin}${location.pathname}`, 'END:VEVENT', 'END:VCALENDAR'];
  return el('p', {}, el('a', { href: `data:text/calendar;charset=utf-8,${encodeURIComponent(`${lines.join('\r\n')}\r\n`)}`, download: `${ticket.event || 'event'}.ics` }, t('ticket.calendar')));
}
