// The waiting room: joins, shows place and state, and claims when it is the buyer's turn.

import { prove } from './challenge.js';
import { fact, memory, phaseName, shop, show, slug } from './event.js';
import { card, el, jitter, patiently, pause, say } from './page.js';
import { duration, money, number, said, t, when } from './words.js';

const base = `/q/${encodeURIComponent(slug)}`;
const website = el('input', { name: 'website', tabindex: '-1', autocomplete: 'off', 'aria-hidden': 'true', hidden: true }); // nobody sees it: what fills it in is no person
let hint = ''; // why joining or claiming was refused, for what the buyer can do about it
let moving = false; // the turn is to come here from another browser of the account

/** Polls the state object as often as it says, shows it, and claims when the buyer is called. */
export async function waitingRoom() {
  let { mine } = memory.read();
  let state = null;
  let etag = '';
  let wanted = null; // what the join form was sent with
  let wake = () => {};
  const news = el('div');
  const code = el('input', { id: 'invitation', autocomplete: 'off' });
  const invitation = el('p', { hidden: true }, el('label', { for: 'invitation' }, t('room.invitation')), el('br'), code);
  const form = el('form', { class: 'card', hidden: true, onsubmit: (e) => { e.preventDefault(); wanted = code.value.trim(); wake(); } },
    el('p', {}, t('room.join_text')), invitation, website, el('div', { class: 'actions' }, el('button', {}, t('room.join'))));
  show(form, news);
  for (;;) {
    const response = await fetch(`${base}/state`, { headers: etag ? { 'If-None-Match': etag } : {} }).catch(() => null);
    if (response && response.status === 404) return show(el('p', { class: 'notice' }, t('room.not_yet')));
    if (response && response.status === 200) {
      state = await response.json();
      etag = response.headers.get('ETag') || '';
    }
    if (response && (response.status === 200 || response.status === 304)) say(state.message || '');
    else say(said((response && (await response.json().catch(() => null))) || {}, 'room.offline'));
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
    if (status !== 200) { say(said(data, 'room.refused')); return undefined; }
    const mine = { entrant: data.entrant, generation: data.generation, window: data.window, band: data.band, reason: data.reason, receipt: data.receipt, invitation, elsewhere: Boolean(data.other_device) };
    memory.write({ mine });
    if (data.receipt) { say(''); return mine; }
    say(t('room.receipt_soon'));
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
    parts.push(el('p', { class: 'quiet' }, place.called ? t('room.turn') : t('room.ahead')), el('p', { class: 'big' }, place.called ? '✓' : number(place.ahead)),
      el('div', { class: 'bar', role: 'img', 'aria-label': t('room.ahead_bar', { n: place.ahead }) }, bar(1 - place.ahead / place.rank)));
    facts.append(fact(t('room.place'), t('room.place_of', { rank: place.rank, all: state.joined })));
    if (state.pace_per_second > 0) facts.append(fact(t('room.wait'), t('room.about', { time: duration((place.ahead + 1) / state.pace_per_second) })));
  } else if (mine) {
    parts.push(el('p', { class: 'big' }, t('room.in')), el('p', { class: 'quiet' }, mine.window === 0
      ? t('room.in_first')
      : t('room.in_late')));
  }
  const first = state.windows.find((w) => w.window === 0);
  if (state.beacon && first && first.root && !first.sealed) parts.push(el('p', { class: 'notice' }, t('room.sealed', { name: state.beacon.name })));
  if (hint === 'account_required') parts.push(el('p', { class: 'notice' }, t('room.accounts')), el('p', { class: 'actions' }, el('a', { class: 'button', href: `/account?event=${slug}` }, t('common.sign_in'))));
  if (hint === 'session_bound_elsewhere' && state.identity === 'account') parts.push(el('p', { class: 'notice' }, t('room.moved')), el('p', { class: 'actions' }, el('button', { onclick: () => { moving = true; } }, t('room.move'))));
  if (mine && mine.elsewhere && state.identity !== 'account') parts.push(el('p', { class: 'notice bad' }, t('room.elsewhere')));
  if (mine && mine.band > 0) parts.push(el('p', { class: 'notice' }, t('room.later_band')));
  if (!mine && state.phase === 'announced') parts.push(el('p', {}, t('room.opens_at', { when: when(state.joining_at, state.time_zone) })));
  if (!mine && state.phase === 'ended') parts.push(el('p', {}, t('room.over')));
  const opens = (new Date(state.opens_at) - new Date(state.server_time)) / 1000;
  if (opens > 0) facts.append(fact(t('room.sale_opens'), when(state.opens_at, state.time_zone)), fact(t('room.in_time'), duration(opens)));
  facts.append(fact(t('room.phase'), phaseName(state.phase)), fact(t('room.joined'), number(state.joined)));
  if (state.price_range) facts.append(fact(t('room.prices'), t('room.price_range', { from: money(state.price_range.from), to: money(state.price_range.to) })));
  if (mine && mine.receipt) facts.append(fact(t('room.receipt'), el('a', { href: `data:text/plain,${encodeURIComponent(mine.receipt)}`, download: `receipt-${slug}.txt` }, t('room.receipt_save'))));
  const stock = (state.stock || []).map((s) => el('div', { class: 'row' }, el('span', {}, s.name),
    el('span', {}, money(s.price), el('small', {}, s.left ? t(s.rounded ? 'common.left_about' : 'common.left', { n: s.left }) : t('common.none_left')))));
  return [card(...parts, facts), ...(stock.length ? [card(el('h2', {}, t('room.stock')), ...stock)] : [])];
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
    say(t('common.moment'));
    if (!(await prove(slug, data.challenge))) { location.assign(data.challenge.page); return pause(60_000); }
    ({ status, data } = await patiently('POST', `${base}/claim`, { body }));
  }
  hint = status === 200 ? '' : data.code;
  if (status === 200) { say(t('room.turn_now')); return true; }
  say(said(data, 'common.wait'));
  return false;
}
