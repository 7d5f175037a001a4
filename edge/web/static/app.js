// The pages of Fairgate. Everything that comes from outside is put into the page as text, never as markup.

import { api, card, countdown, duration, el, failureText, jitter, money, newKey, number, patiently, pause, say, when } from './page.js';
import { prove } from './challenge.js';
import { keep, kept } from './kept.js';
import { FREE, loadSeats } from './seats.js';

const view = document.getElementById('view');
const website = el('input', { name: 'website', tabindex: '-1', autocomplete: 'off', 'aria-hidden': 'true', hidden: true }); // nobody sees it: what fills it in is no person

let leave = () => {}; // ends what the page shown keeps up to date

function show(...nodes) {
  leave();
  leave = () => {};
  view.replaceChildren(...nodes);
  view.removeAttribute('aria-busy');
}

const fact = (name, value) => el('div', {}, el('dt', {}, name), el('dd', {}, value));

function phaseName(phase) {
  return { announced: 'Announced', joining: 'Waiting room open', sealing: 'Drawing', drawn: 'Drawn', open: 'On sale', paused: 'Paused', sold_out: 'Sold out', ended: 'Ended' }[phase] || phase;
}

// ---- one event

const slug = decodeURIComponent(location.pathname.split('/')[2] || '');
const base = `/q/${encodeURIComponent(slug)}`;
let event; // as /v1/events/{id} shows it

/** What this browser remembers of the event: pass data, hold and order. Secrets are in cookies that scripts cannot read. */
const memory = {
  read() { try { return JSON.parse(localStorage.getItem(`fairgate:${slug}`)) || {}; } catch { return {}; } },
  write(change) { localStorage.setItem(`fairgate:${slug}`, JSON.stringify({ ...memory.read(), ...change })); },
};

async function eventPage() {
  window.ononline = null;
  const query = new URLSearchParams(location.search);
  const [asked, one] = [query.get('order'), query.get('ticket')]; // by a link in a mail, and on the account's page
  if (location.search || history.state) history.replaceState(null, '', location.pathname); // that, and what the payment page added
  const { status, data } = await theEvent();
  if (status === 0) return offline();
  if (status !== 200) return show(el('p', { class: 'notice bad' }, data.detail || 'There is no such event.'));
  headline(data);
  say('');
  const { order, hold, ticket } = memory.read();
  if (one) return ticketsPage({ tickets: [one] });
  if (order || asked) return orderPage(order || asked);
  if (hold) return holdPage(hold);
  if (ticket) return ticketsPage({ tickets: [ticket] });
  return waitingRoom();
}

/** The event; status 0 where the network does not answer and there are tickets to be shown without. */
function theEvent() {
  const path = `/v1/events/${encodeURIComponent(slug)}`;
  if (!kept(slug)) return patiently('GET', path);
  return Promise.race([api('GET', path).then((answer) => (answer.status === 429 || answer.status >= 500 ? { status: 0 } : answer)), pause(3000).then(() => ({ status: 0 }))]);
}

function headline(data) {
  event = data;
  document.title = `${event.name} · Fairgate`;
  document.getElementById('title').textContent = event.name;
  document.getElementById('when').textContent = `${when(event.starts_at, event.time_zone)} · ${event.venue.name}, ${event.venue.city}`;
}

let hint = ''; // why joining or claiming was refused, for what the buyer can do about it
let moving = false; // the turn is to come here from another browser of the account

/** Polls the state object as often as it says, shows it, and claims when the buyer is called. */
async function waitingRoom() {
  let { mine } = memory.read();
  let state = null;
  let etag = '';
  let wanted = null; // what the join form was sent with
  let wake = () => {};
  const news = el('div');
  const code = el('input', { id: 'invitation', autocomplete: 'off' });
  const invitation = el('p', { hidden: true }, el('label', { for: 'invitation' }, 'Your invitation'), el('br'), code);
  const form = el('form', { class: 'card', hidden: true, onsubmit: (e) => { e.preventDefault(); wanted = code.value.trim(); wake(); } },
    el('p', {}, 'Join, and take part in the draw. One entry a person; more tabs do not help.'), invitation, website, el('div', { class: 'actions' }, el('button', {}, 'Join the waiting room')));
  show(form, news);
  for (;;) {
    const response = await fetch(`${base}/state`, { headers: etag ? { 'If-None-Match': etag } : {} }).catch(() => null);
    if (response && response.status === 404) return show(el('p', { class: 'notice' }, 'Tickets for this event are not on sale yet. Come back later.'));
    if (response && response.status === 200) {
      state = await response.json();
      etag = response.headers.get('ETag') || '';
    }
    if (response && (response.status === 200 || response.status === 304)) say(state.message || '');
    else say(((response && (await response.json().catch(() => null))) || { detail: 'The network does not answer. Your place is kept.' }).detail);
    if (state) {
      if (mine && mine.generation !== state.generation) mine = undefined;
      if (wanted !== null || (mine && !mine.receipt && state.phase !== 'ended')) mine = (await join(wanted === null ? mine.invitation : wanted)) || mine;
      wanted = null;
      const place = mine && (await placeIn(state, mine));
      if (place && place.called && !state.doubt && ['open', 'sold_out'].includes(state.phase) && (await claim())) return shop();
      form.hidden = Boolean(mine) || ['announced', 'ended'].includes(state.phase);
      invitation.hidden = state.identity !== 'invitation';
      news.replaceChildren(...roomParts(state, mine, place));
    }
    await Promise.race([pause(jitter((state && state.poll_after_ms) || 2000)), new Promise((done) => { wake = done; })]);
  }
}

/** Joins; repeated until there is a receipt. Answers what is to be remembered, or nothing when it was refused. */
async function join(invitation) {
  const known = memory.read().mine;
  for (;;) {
    const { status, data } = await patiently('POST', `${base}/join`, { body: { invitation: invitation || undefined, website: website.value || undefined, receipt: (known && known.receipt) || undefined } });
    hint = status === 200 ? '' : data.code;
    if (status !== 200) { say(data.detail || 'Joining was refused.'); return undefined; }
    const mine = { entrant: data.entrant, generation: data.generation, window: data.window, band: data.band, reason: data.reason, receipt: data.receipt, invitation, elsewhere: Boolean(data.other_device) };
    memory.write({ mine });
    if (data.receipt) { say(''); return mine; }
    say('You are in. Waiting for the receipt …');
    await pause(jitter(data.retry_after_ms || 500));
  }
}

/** The same arithmetic as the edges': where the draw put this browser, and about how many are ahead. */
async function placeIn(state, mine) {
  const at = state.windows.findIndex((w) => w.window === mine.window);
  if (at < 0 || !state.windows[at].sealed || !crypto.subtle) return undefined;
  const bytes = (hex) => Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
  const key = await crypto.subtle.importKey('raw', bytes(state.windows[at].seed), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  const sum = new Uint8Array(await crypto.subtle.sign('HMAC', key, bytes(mine.entrant)));
  const value = Array.from(sum.slice(0, 8), (b) => b.toString(16).padStart(2, '0')).join(''); // hex of one length sorts like the number
  const mineKey = [mine.window, mine.band, value];
  const c = state.cursor && [state.cursor.window, state.cursor.band, state.cursor.value];
  const called = Boolean(c) && (mineKey[0] - c[0] || mineKey[1] - c[1] || (mineKey[2] <= c[2] ? -1 : 1)) < 0;
  let rank = state.windows.slice(0, at).reduce((sum, w) => sum + w.entrants, 0);
  for (const band of state.windows[at].bands) {
    if (band.band < mine.band) rank += band.entrants;
    if (band.band === mine.band) rank += Math.round((band.quantiles.filter((q) => q < value).length / band.quantiles.length) * band.entrants);
  }
  return { called, rank: rank + 1, ahead: Math.max(0, rank - state.called) };
}

/** What the waiting room shows of the state and of this browser's place. */
function roomParts(state, mine, place) {
  const facts = el('dl', { class: 'facts' });
  const parts = [];
  if (place) {
    parts.push(el('p', { class: 'quiet' }, place.called ? 'It is your turn' : 'People ahead of you, about'), el('p', { class: 'big' }, place.called ? '✓' : number(place.ahead)),
      el('div', { class: 'bar', role: 'img', 'aria-label': `about ${place.ahead} ahead` }, bar(1 - place.ahead / place.rank)));
    facts.append(fact('Your place in the draw', `about ${number(place.rank)} of ${number(state.joined)}`));
    if (state.pace_per_second > 0) facts.append(fact('Expected wait', `about ${duration((place.ahead + 1) / state.pace_per_second)}`));
  } else if (mine) {
    parts.push(el('p', { class: 'big' }, 'You are in'), el('p', { class: 'quiet' }, mine.window === 0
      ? 'The order is drawn when the sale opens. You may close this page; this browser keeps your place.'
      : 'You queue behind those who were here before the draw. Your order among the latecomers is drawn shortly.'));
  }
  const first = state.windows.find((w) => w.window === 0);
  if (state.beacon && first && first.root && !first.sealed) parts.push(el('p', { class: 'notice' }, `The pool is sealed. The order is drawn with a public value that nobody knows yet: ${state.beacon.name}.`));
  if (hint === 'account_required') parts.push(el('p', { class: 'notice' }, 'This sale is for accounts: one entry each, from as many browsers as you like.'), el('p', { class: 'actions' }, el('a', { class: 'button', href: `/account?event=${slug}` }, 'Sign in')));
  if (hint === 'session_bound_elsewhere' && state.identity === 'account') parts.push(el('p', { class: 'notice' }, 'You have gone in with another browser.'), el('p', { class: 'actions' }, el('button', { onclick: () => { moving = true; } }, 'Go on here instead')));
  if (mine && mine.elsewhere && state.identity !== 'account') parts.push(el('p', { class: 'notice bad' }, 'This invitation was used in another browser first. Take your turn there.'));
  if (mine && mine.band > 0) parts.push(el('p', { class: 'notice' }, 'Many entries came from your network, so this one queues behind the first ones.'));
  if (!mine && state.phase === 'announced') parts.push(el('p', {}, `The waiting room opens ${when(state.joining_at, state.time_zone)}.`));
  if (!mine && state.phase === 'ended') parts.push(el('p', {}, 'The sale is over.'));
  const opens = (new Date(state.opens_at) - new Date(state.server_time)) / 1000;
  if (opens > 0) facts.append(fact('Sale opens', when(state.opens_at, state.time_zone)), fact('That is in', duration(opens)));
  facts.append(fact('Phase', phaseName(state.phase)), fact('In the waiting room', number(state.joined)));
  if (state.price_range) facts.append(fact('Prices, all included', `${money(state.price_range.from)} – ${money(state.price_range.to)}`));
  if (mine && mine.receipt) facts.append(fact('Your receipt', el('a', { href: `data:text/plain,${encodeURIComponent(mine.receipt)}`, download: `receipt-${slug}.txt` }, 'Save it')));
  const stock = (state.stock || []).map((s) => el('div', { class: 'row' }, el('span', {}, s.name),
    el('span', {}, money(s.price), el('small', {}, s.left ? `${s.rounded ? 'about ' : ''}${number(s.left)} left` : 'none left'))));
  return [card(...parts, facts), ...(stock.length ? [card(el('h2', {}, 'Still available'), ...stock)] : [])];
}

function bar(share) {
  const fill = el('i');
  fill.style.width = `${Math.round(100 * Math.min(1, Math.max(0, share)))}%`;
  return fill;
}

async function claim() {
  const body = moving ? { move: true } : {};
  moving = false;
  let { status, data } = await patiently('POST', `${base}/claim`, { body });
  if (data.challenge) {
    say('One moment …');
    if (!(await prove(slug, data.challenge))) { location.assign(data.challenge.page); return pause(60_000); }
    ({ status, data } = await patiently('POST', `${base}/claim`, { body }));
  }
  hint = status === 200 ? '' : data.code;
  if (status === 200) { say('It is your turn.'); return true; }
  say(data.detail || 'Please wait …');
  return false;
}

// ---- choosing

async function shop(problem) {
  const [{ data: fresh }, seats] = await Promise.all([patiently('GET', `/v1/events/${encodeURIComponent(slug)}`), loadSeats(slug, (path) => patiently('GET', path))]);
  if (fresh.tiers) event = fresh;
  const most = event.per_buyer || 8;
  const left = (tier) => { const n = seats && seats.left.tiers[tier.id]; return n === undefined ? tier.left : n; };
  const chosen = { counts: {}, seats: new Set() }; // seats by ordinal
  const total = () => Object.values(chosen.counts).reduce((sum, n) => sum + n, 0) + chosen.seats.size;
  const go = el('button', { disabled: true, onclick: () => hold() }, 'Hold these tickets');
  const changed = () => { const n = total(); go.disabled = n < 1 || n > most; say(n > most ? `At most ${most} tickets.` : n ? `${n} chosen.` : ''); };
  const rows = event.tiers.filter((t) => t.kind === 'general').map((tier) => {
    const note = el('small');
    const pick = el('select', { id: `tier-${tier.id}`, onchange: (e) => { chosen.counts[tier.id] = Number(e.target.value); changed(); } },
      Array.from({ length: most + 1 }, (_, n) => el('option', { value: n }, n)));
    const update = () => {
      note.textContent = left(tier) > 0 ? `${number(left(tier))} left` : 'none left';
      for (const option of pick.options) option.disabled = Number(option.value) > left(tier) && !option.selected;
    };
    update();
    return { update, node: el('div', { class: 'row' }, el('label', { for: `tier-${tier.id}` }, tier.name, note), el('span', {}, `${money(tier.price)} `, pick)) };
  });
  const buttons = new Map(); // ordinal → button, of the sections that were opened
  const sections = (seats ? seats.sections : []).map((section) => {
    const box = el('div', { class: 'seats' });
    const title = el('summary');
    const update = () => { title.textContent = `Section ${section.id}: ${number(seats.left.sections[section.id] || 0)} seats free`; };
    update();
    return { update, node: el('details', { ontoggle: () => { if (!box.firstChild) box.append(...seatRows(seats, section, chosen, changed, buttons)); } }, title, box) };
  });
  function refresh() {
    for (const part of [...rows, ...sections]) part.update();
    const lost = [...chosen.seats].filter((ordinal) => seats.state(ordinal) !== FREE);
    for (const ordinal of lost) chosen.seats.delete(ordinal);
    for (const [ordinal, button] of buttons) {
      button.disabled = seats.state(ordinal) !== FREE;
      button.setAttribute('aria-pressed', String(chosen.seats.has(ordinal)));
    }
    if (!lost.length) return;
    changed();
    say(`Somebody else has just taken ${lost.map((ordinal) => seats.names[ordinal]).join(', ')}.`);
  }
  async function hold() {
    go.disabled = true;
    leave(); // what is held from here on is ours
    const items = Object.entries(chosen.counts).filter(([, n]) => n > 0).map(([tier, quantity]) => ({ tier, quantity }));
    if (chosen.seats.size) items.push({ seats: [...chosen.seats].map((ordinal) => seats.names[ordinal]) });
    const { status, data } = await patiently('POST', '/v1/holds', { body: { event: slug, items }, key: newKey() });
    if (status === 201) { memory.write({ hold: data.id, orderKey: newKey() }); return holdPage(data.id, data); }
    if (status === 401) return waitingRoom();
    return shop(refusal(data));
  }
  show(problem ? el('p', { class: 'notice bad', role: 'alert' }, problem) : '', card(el('h2', {}, `Choose up to ${most} tickets`), ...rows.map((r) => r.node)),
    sections.length ? card(el('h2', {}, 'Numbered seats'), ...sections.map((s) => s.node)) : '', el('div', { class: 'actions' }, go, el('button', { class: 'plain', onclick: () => shop() }, 'Look again')));
  if (!seats) return;
  leave = () => seats.close();
  seats.follow({ changed: refresh, moved: () => shop('The seats were arranged anew. Please choose again.'), phase: (name) => { if (name === 'paused' || name === 'ended') say(`The sale is ${name}.`); } });
}

/** Why a hold was refused, and for a limit that others may share, what helps. */
function refusal(problem) {
  const advice = {
    over_limit_account: 'Tickets that your account holds elsewhere count too. Choose fewer, or give some back.',
    over_limit_device: 'Tickets held in other tabs of this browser count too. Choose fewer, or give some back.',
    over_limit_address: 'Others in your household or office count too. Choose fewer, or try again when some have been given back.',
  }[problem.code];
  return [problem.detail, advice].filter(Boolean).join(' ');
}

function seatRows(seats, section, chosen, changed, buttons) {
  const tier = event.tiers.find((t) => t.id === section.tier);
  const price = tier ? money(tier.price) : '';
  return section.rows.map((row) => el('div', { class: 'seatrow' }, el('b', {}, row.label), row.seats.map(({ ordinal, number: name }) => {
    const button = el('button', { type: 'button', class: 'seat', disabled: seats.state(ordinal) !== FREE, 'aria-pressed': String(chosen.seats.has(ordinal)), title: `${seats.names[ordinal]} ${price}`, 'aria-label': `Row ${row.label} seat ${name}, ${price}`,
      onclick: () => { const on = !chosen.seats.delete(ordinal); if (on) chosen.seats.add(ordinal); button.setAttribute('aria-pressed', String(on)); changed(); } }, name);
    buttons.set(ordinal, button);
    return button;
  })));
}

// ---- hold, order, tickets

async function holdPage(id, known) {
  const hold = known || (await patiently('GET', `/v1/holds/${id}`)).data;
  if (hold.state !== 'active') { memory.write({ hold: undefined }); return hold.state === 'sold' ? waitingRoom() : shop(known ? undefined : 'The hold ran out; its tickets are back on sale.'); }
  const mail = el('input', { id: 'email', type: 'email', autocomplete: 'email' });
  const lost = () => { memory.write({ hold: undefined }); shop('The hold ran out; its tickets are back on sale.'); };
  const pay = el('form', { onsubmit: async (e) => {
    e.preventDefault();
    pay.querySelector('button').disabled = true;
    const way = pay.querySelector('input[name="method"]:checked');
    const { status, data } = await patiently('POST', '/v1/orders', { body: { hold_id: id, email: mail.value, language: navigator.language || undefined, method: way ? way.value : undefined }, key: memory.read().orderKey || id });
    if (status === 201 || status === 200) { memory.write({ order: data.id, hold: undefined }); return orderPage(data.id); }
    say(data.detail || 'That did not work.');
    if (status === 410 || status === 404) return lost();
    pay.querySelector('button').disabled = false;
  } }, el('label', { for: 'email' }, 'E-mail for your tickets (optional)'), mail, methods(), el('div', { class: 'actions' }, el('button', {}, `Continue to payment · ${money(hold.amount)}`),
    el('button', { class: 'plain', type: 'button', onclick: async () => { await patiently('DELETE', `/v1/holds/${id}`); memory.write({ hold: undefined }); shop(); } }, 'Give them back')));
  say('');
  show(card(el('p', { class: 'quiet' }, 'Held for you for another'), countdown(hold, lost),
    ...hold.items.map((item) => el('div', { class: 'row' }, el('span', {}, `${item.quantity || (item.seats || []).length} × ${tierName(item.tier)}`), el('span', {}, (item.seats || []).join(', '))))), card(pay));
}

/** The ways to pay, where there is a choice; the first is for who makes none. */
function methods() {
  const offered = event.payment_methods || [];
  if (offered.length < 2) return null;
  const names = { card: 'Card', paypal: 'PayPal', bank_transfer: 'Bank transfer', box_office: 'At the box office' };
  return el('fieldset', { class: 'methods' }, el('legend', {}, 'How do you want to pay?'), offered.map((method, i) =>
    el('label', {}, el('input', { type: 'radio', name: 'method', value: method, checked: i === 0 }), ` ${names[method] || method}`)));
}

const tierName = (id) => ((event.tiers || []).find((t) => t.id === id) || { name: id }).name;

async function orderPage(id) {
  let shown = '';
  say('');
  for (;;) {
    const { status, data: order } = await patiently('GET', `/v1/orders/${id}`);
    if (status !== 200) { memory.write({ order: undefined }); return waitingRoom(); }
    if (order.state === 'ticket_issued') return ticketsPage(order);
    if (hasOwnPage(order)) return location.replace(`/e/${encodeURIComponent(slug)}/pay/${encodeURIComponent(order.id)}`);
    const stamp = `${order.state} ${order.payment && order.payment.state} ${order.payment && order.payment.attempt}`;
    if (stamp !== shown) showOrder(order);
    shown = stamp;
    if (isOver(order)) { memory.write({ order: undefined }); return undefined; }
    await pause(jitter(order.payment && order.payment.state === 'created' ? 400 : 1500));
  }
}

/** Whether nothing more comes of the order by itself. A payment that came too late may still buy other seats, or is on its way back. */
const isOver = (order) => ['refunded', 'refund_failed', 'disputed'].includes(order.state) ||
  (['expired', 'cancelled', 'capture_failed'].includes(order.state) && !['voiding', 'captured'].includes((order.payment || {}).state));

/** Whether the order is paid on a page that lets in the provider's form. This page lets in nothing. */
const hasOwnPage = (order) => ['payment_pending', 'payment_failed'].includes(order.state) && ['stripe_elements', 'frame'].includes((order.payment || {}).form);

function showOrder(order) {
  const payment = order.payment || {};
  const parts = [el('h2', {}, orderText(order.state)), ...order.lines.map((line) => el('div', { class: 'row' }, el('span', {}, tierName(line.tier), line.seat && el('small', {}, line.seat)),
    el('span', {}, money({ minor: line.face.minor + line.fee.minor + line.tax.minor, currency: line.face.currency })))), el('div', { class: 'row' }, el('strong', {}, 'Total'), el('strong', {}, money(order.amount)))];
  const byHand = ['payment_pending', 'payment_failed'].includes(order.state) && payment.pay_to; // money that somebody records
  if (['payment_pending', 'payment_failed', 'reserved'].includes(order.state) && !byHand) parts.push(el('p', { class: 'quiet' }, 'Time left to pay'), countdown(order));
  if (payment.failure) parts.push(el('p', { class: 'notice bad', role: 'alert' }, failureText(payment.failure)));
  const instructions = ['payment_pending', 'payment_failed'].includes(order.state) && payment.instructions;
  if (byHand) {
    const office = payment.method === 'box_office';
    parts.push(el('h2', {}, office ? 'Pay at the box office' : 'Pay by bank transfer'), el('dl', { class: 'facts' }, office ? null : fact('To', payment.pay_to), fact('Reference', payment.provider_ref.replace(/(.{4})(?=.)/g, '$1 ')),
      fact('Amount', money(order.amount)), fact('Until', when(order.deadline, event.time_zone))),
    el('p', { class: 'quiet' }, office ? 'Say the reference there. Your tickets come when it is paid; this page shows them.' : 'Quote the reference exactly, and pay in time for the money to arrive until then. Your tickets come when it is here; you may close this page, this browser keeps your order.'));
  }
  if (instructions) parts.push(el('div', { class: 'notice' }, String(instructions).split('\n').map((line) => el('p', {}, line))));
  if (order.state === 'payment_pending' && payment.pay_url) {
    const target = new URL(payment.pay_url, location.href);
    if (/^https?:$/.test(target.protocol)) {
      target.searchParams.set('return_url', location.origin + location.pathname);
      parts.push(el('div', { class: 'actions' }, el('a', { class: 'button', href: target.href, rel: 'noreferrer' }, 'Pay now')));
    }
  } else if (['payment_failed', 'reserved', 'payment_pending'].includes(order.state) && !payment.pay_url && !instructions && !byHand) {
    parts.push(el('div', { class: 'actions' }, el('button', { onclick: async (e) => { e.target.disabled = true; const { data } = await patiently('POST', `/v1/orders/${order.id}/pay`, { body: {}, key: newKey() }); if (data.state) showOrder(data); else say(data.detail || ''); } },
      order.state === 'payment_failed' ? 'Try another payment' : 'Begin payment')));
  }
  if (order.reseated) parts.push(el('p', { class: 'notice' }, 'Your payment came when your time was up. You have the tickets named here instead.'));
  if (isOver(order) && order.state !== 'disputed') parts.push(el('div', { class: 'actions' }, el('button', { onclick: () => shop() }, 'Choose again')));
  show(card(...parts));
}

function orderText(state) {
  return { reserved: 'Your order', payment_pending: 'Waiting for your payment', payment_complete: 'Paid. Your tickets are being made …', payment_failed: 'The payment failed', payment_review: 'Your payment is being checked by a person. Your tickets are kept for you meanwhile; nothing is charged before', capture_failed: 'The payment could not be taken; nothing was charged',
    expired: 'Time ran out; nothing is charged', cancelled: 'The order was cancelled', refund_pending: 'Your money is on its way back', refunded: 'You have your money back', refund_failed: 'Your money could not be sent back yet; we see to it', disputed: 'This payment is disputed' }[state] || state;
}

/** Shows tickets, and has them kept for when there is no network. */
async function ticketsPage({ id: order, tickets: ids }) {
  const [{ ticketCard }, ahead, answers] = await Promise.all([import('./ticket.js'), clockAhead(), Promise.all(ids.map((id) => patiently('GET', `/v1/tickets/${encodeURIComponent(id)}`)))]);
  const good = answers.map(({ status, data }) => (status === 200 && data.state !== 'void' ? data : null));
  keep(slug, event, good.filter(Boolean), ids.filter((_, at) => !good[at]), ahead);
  if (good.some(Boolean)) memory.write(order ? { order } : { ticket: ids[0] });
  else if (!order) memory.write({ ticket: undefined });
  say('');
  show(el('p', { class: 'good', role: 'status' }, 'Your tickets are here. They stay on this page in this browser, and open without a network.'),
    ...good.map((ticket, at) => (ticket ? ticketCard(ticket, tierName(ticket.tier), ahead) : card(el('p', { class: 'notice bad' }, answers[at].data.detail || 'This ticket is not valid any more.')))),
    el('div', { class: 'actions' }, el('button', { class: 'plain', onclick: () => { memory.write({ order: undefined, ticket: undefined }); shop(); } }, 'Buy more')));
}

/** By how many milliseconds the server's clock is ahead of this one, within a second. */
async function clockAhead() {
  try {
    const asked = Date.now();
    const told = new Date((await fetch('/static/icon.svg', { method: 'HEAD', cache: 'no-store', signal: AbortSignal.timeout(2500) })).headers.get('Date')).getTime();
    return told ? told + 500 - (asked + Date.now()) / 2 : 0;
  } catch { return 0; }
}

/** Shows the tickets that this browser keeps. */
async function offline() {
  const { event: known, tickets, ahead } = kept(slug);
  const { ticketCard } = await import('./ticket.js');
  headline(known);
  say('');
  show(el('p', { class: 'notice', role: 'status' }, 'There is no network. These are the tickets as this browser last saw them.'), ...Object.values(tickets).map((ticket) => ticketCard(ticket, tierName(ticket.tier), ahead)),
    el('div', { class: 'actions' }, el('button', { class: 'plain', onclick: () => eventPage() }, 'Try again')));
  window.ononline = () => eventPage();
}

eventPage();
