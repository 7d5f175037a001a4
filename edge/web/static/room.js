// The waiting room: joins, shows place and state, and claims when it is the buyer's turn. It may sleep, be loaded anew, lose the network or
// meet a core that is away: what it knows is in this browser, and it goes on asking.

import { prove } from './challenge.js';
import { ahead, at, event, fact, here, memory, phaseName, shop, show, slug } from './event.js';
import { card, el, jitter, patiently, pause, say } from './page.js';
import { duration, money, number, said, t, when } from './words.js';

const base = `/q/${encodeURIComponent(slug)}`;
const MOST_ROOTS = 256; // of windows that are remembered
const patience = 15000; // milliseconds until an answer is not waited for any more
const website = el('input', { name: 'website', tabindex: '-1', autocomplete: 'off', 'aria-hidden': 'true', hidden: true }); // nobody sees it: what fills it in is no person

let generation = 0; // of the on-sale seen last
let outdated = false; // the list of sales is of the one before
let selling = ''; // the presale whose room this is; '': general sale
let past; // the name of a sale in which this browser had a place and that is over
let hint = ''; // why joining or claiming was refused, for what the buyer can do about it
let moving = false; // the turn is to come here from another browser of the account
let wake = () => {}; // ends the pause before the state is asked for again

/** Polls the state object as often as it says, shows it, and claims when the buyer is called. */
export async function waitingRoom() {
  let { mine } = memory.read();
  let state = null;
  let etag = '';
  let wanted = null; // what the join form was sent with
  const gateway = el('div');
  const news = el('div');
  const bell = el('button', { type: 'button', class: 'plain', onclick: () => listen(bell) }, t('room.tell_me'));
  const leaving = el('button', { type: 'button', class: 'plain', onclick: async () => {
    if (!(await leave())) return;
    mine = undefined;
    wake();
  } }, t('room.leave'));
  const kept = el('section', { class: 'card', hidden: true }, el('p', {}, t('room.keep')), el('div', { class: 'actions' }, bell, leaving));
  const code = el('input', { id: 'invitation', autocomplete: 'off' });
  const invitation = el('p', { hidden: true }, el('label', { for: 'invitation' }, t('room.invitation')), el('br'), code);
  const first = document.querySelector('#view[aria-busy] form'); // the page's own, which stays until it is known what to show: nothing jumps
  if (first) first.onsubmit = (e) => { e.preventDefault(); const typed = first.querySelector('#invitation'); wanted = typed ? typed.value.trim() : ''; wake(); };
  const form = el('form', { class: 'card', hidden: true, onsubmit: (e) => { e.preventDefault(); wanted = code.value.trim(); wake(); } },
    el('p', {}, t('room.join_text')), invitation, website, el('div', { class: 'actions' }, el('button', {}, t('room.join'))));
  let shown = !document.querySelector('#view[aria-busy]');
  if (shown) show(form, gateway, news, kept, el('div'));
  listening(bell);
  for (;;) {
    const response = await fetch(`${base}/state`, { headers: etag ? { 'If-None-Match': etag } : {}, signal: AbortSignal.timeout(patience) }).catch(() => null);
    if (response && response.status === 404) return show(card(el('p', {}, t('room.not_yet'))));
    if (response && response.status === 200) {
      state = await response.json().catch(() => state);
      etag = response.headers.get('ETag') || '';
    }
    if (response && (response.status === 200 || response.status === 304)) say(state && state.doubt ? t('room.doubt') : '');
    else say(said((response && (await response.json().catch(() => null))) || {}, 'room.offline'));
    const behind = state && state.doubt && mine && mine.generation > state.generation; // the node has not heard yet of the sale one has joined
    if (state && !behind) {
      if (generation && generation !== state.generation) outdated = true;
      generation = state.generation;
      if (outdated) outdated = !(await import('./about.js').then((part) => part.renewSales(state), () => false));
      selling = state.presale || '';
      if (mine && mine.generation !== state.generation) {
        past = saleName(mine.presale);
        memory.write({ mine: undefined, earlier: mine.receipt }); // by which the draw of that sale can still be checked
        mine = undefined;
        hint = '';
      }
      keepSeen(state);
      followSale(state);
      if (wanted !== null || (mine && !mine.receipt && state.phase !== 'ended')) mine = (await join(wanted === null ? mine.invitation : wanted)) || mine;
      wanted = null;
      const place = mine && (await placeIn(state, mine));
      at('room', !mine ? 'join' : place ? 'wait' : 'draw');
      if (place && place.called && !state.doubt && ['open', 'sold_out'].includes(state.phase)) {
        ring();
        if (await claim()) return shop();
      }
      const inside = form.contains(document.activeElement);
      form.hidden = Boolean(mine) || ['announced', 'ended'].includes(state.phase);
      invitation.hidden = state.identity !== 'invitation';
      kept.hidden = !mine || state.phase === 'ended' || Boolean(place && place.called);
      gateway.replaceChildren(...gatewayParts(state, mine, place));
      news.replaceChildren(...roomParts(state, mine, place));
      if (!shown) show(form, gateway, news, kept, el('div'));
      shown = true;
      if (inside && form.hidden) here();
      document.title = t('common.title', { page: place && !place.called ? t('room.title', { n: place.ahead, page: event.name }) : event.name });
    }
    await Promise.race([pause(jitter((state && state.poll_after_ms) || 2000)), new Promise((done) => { wake = done; })]);
  }
}

// Who comes back to the page, or to the network, is shown at once how things stand.
document.addEventListener('visibilitychange', () => { if (document.visibilityState === 'visible') wake(); });
addEventListener('online', () => wake());
addEventListener('pageshow', () => wake());

/** What was published is kept as this browser first saw it, so that the page of the draw can tell whether it was changed since. */
function keepSeen({ generation, commitment, windows }) {
  const { seen } = memory.read();
  const kept = seen && seen.generation === generation ? seen : { generation, commitment, roots: {} };
  const fresh = windows.filter((w) => w.root && !kept.roots[w.window] && w.window < MOST_ROOTS);
  if (kept === seen && !fresh.length) return;
  for (const w of fresh) kept.roots[w.window] = w.root;
  memory.write({ seen: kept });
}

/** Has the page say how the sale stands, where that is otherwise than it says. */
function followSale(state) {
  const dates = [...document.querySelectorAll('#about [data-at]')];
  if (document.getElementById('about').dataset.phase === state.phase && dates.every(({ id, dataset }) => Date.parse(dataset.at) === Date.parse(state[id]))) return;
  import('./about.js').then((part) => part.follow(state), () => {});
}

/** What the sale of a presale is called, and general sale. */
function saleName(presale) {
  const sale = (event.sales || []).find((one) => (one.presale || '') === (presale || ''));
  return (sale && sale.name) || presale || t('room.general');
}

/** Joins; repeated until there is a receipt. Answers what is to be remembered, or nothing when it was refused. */
async function join(invitation) {
  const known = memory.read().mine;
  for (;;) {
    const { status, data } = await patiently('POST', `${base}/join`, { body: { invitation: invitation || undefined, website: website.value || undefined, receipt: (known && known.receipt) || undefined } });
    hint = status === 200 ? '' : data.code;
    if (status !== 200) { say(said(data, 'room.refused')); return undefined; }
    const mine = { entrant: data.entrant, generation: data.generation, presale: selling, window: data.window, band: data.band, reason: data.reason, receipt: data.receipt, invitation, elsewhere: Boolean(data.other_device) };
    past = undefined;
    memory.write({ mine });
    if (data.receipt) { say(''); return mine; }
    say(t('room.receipt_soon'));
    await pause(jitter(data.retry_after_ms || 500));
  }
}

/** Leaves; answers whether that is so. Who joins again before the draw has the same entry. */
async function leave() {
  const { status, data } = await patiently('POST', `${base}/leave`);
  if (status !== 204) { say(said(data, 'room.refused')); return false; }
  memory.write({ mine: undefined });
  say(t('room.left'));
  return true;
}

/** The same arithmetic as the edges': where the draw put this browser, and about how many are ahead. */
async function placeIn(state, mine) {
  const index = state.windows.findIndex((w) => w.window === mine.window);
  if (index < 0 || !state.windows[index].sealed || !crypto.subtle) return undefined;
  const bytes = (hex) => Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
  const key = await crypto.subtle.importKey('raw', bytes(state.windows[index].seed), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  const sum = new Uint8Array(await crypto.subtle.sign('HMAC', key, bytes(mine.entrant)));
  const value = Array.from(sum.slice(0, 8), (b) => b.toString(16).padStart(2, '0')).join(''); // hex of one length sorts like the number
  const c = state.cursor;
  const called = Boolean(c) && (mine.window - c.window || mine.band - c.band || (value <= c.value ? -1 : 1)) < 0;
  let rank = state.windows.slice(0, index).reduce((all, w) => all + w.entrants, 0);
  for (const band of state.windows[index].bands) {
    if (band.band < mine.band) rank += band.entrants;
    if (band.band === mine.band) rank += Math.round((band.quantiles.filter((q) => q < value).length / band.quantiles.length) * band.entrants);
  }
  return { called, rank: rank + 1, ahead: Math.max(0, rank - state.called) };
}

// ---- how long it takes

const seen = []; // {time, called} of the last minutes

/** From and to which number of seconds it takes until so many more are called: by the pace that is set, and by what was seen here. Nothing
 *  where nobody is being called. */
function waitFor(ahead, state) {
  const time = performance.now() / 1000;
  seen.push({ time, called: state.called });
  while (seen.length > 1 && (time - seen[0].time > 180 || seen[0].called > state.called)) seen.shift();
  const watched = time - seen[0].time;
  const paces = [state.pace_per_second, watched > 20 ? (state.called - seen[0].called) / watched : 0].filter((pace) => pace > 0);
  if (!paces.length) return undefined;
  return { from: (ahead + 1) / (1.2 * Math.max(...paces)), to: (ahead + 1) / (0.7 * Math.min(...paces)) };
}

function waitText(range) {
  if (!range || range.from > 86400) return t('room.wait_unknown');
  const [from, to] = [Math.floor(range.from / 60), Math.ceil(range.to / 60)];
  if (to <= 1) return t('room.wait_soon');
  if (from < 1) return t('room.wait_upto', { n: to });
  if (to <= 90) return t('room.wait_minutes', { from, n: to });
  return t('room.wait_hours', { from: Math.max(1, Math.floor(from / 60)), n: Math.ceil(to / 60) });
}

// ---- what is shown

/** The gate: how far it is open, and the one number that matters. */
function gatewayParts(state, mine, place) {
  const opens = (new Date(state.opens_at) - new Date(state.server_time)) / 1000;
  const gate = (done, small, large, after) => {
    const light = el('i');
    light.style.blockSize = `${Math.round(100 * Math.min(1, Math.max(0, done)))}%`;
    return [el('div', { class: done >= 1 ? 'gateway open' : 'gateway' }, light, el('p', {}, small), el('p', { class: 'big' }, large), after && el('p', { class: 'quiet' }, after))];
  };
  if (place && place.called) return gate(1, t('room.turn'), '✓', '');
  if (place) return gate(1 - place.ahead / place.rank, t('room.ahead'), number(place.ahead), waitText(waitFor(place.ahead, state)));
  if (mine) return gate(0.12, t('room.in'), opens > 0 ? duration(opens) : '…', opens > 0 ? t('room.until_draw') : t('room.drawing'));
  return [];
}

/** What the waiting room shows of the state and of this browser's place, below the gate. */
function roomParts(state, mine, place) {
  const facts = el('dl', { class: 'facts' });
  const parts = [];
  const notice = (text, kind = 'notice', ...more) => parts.push(el('div', { class: kind }, el('p', {}, text), ...more));
  if (state.message && !state.doubt) notice(t('room.message'), 'notice', el('p', {}, el('strong', {}, state.message)));
  if (past !== undefined) notice(t('room.sale_over', { sale: past }));
  if (event.sales || selling) facts.append(fact(t('room.sale'), saleName(selling)));
  if (place) facts.append(fact(t('room.place'), t('room.place_of', { rank: place.rank, all: state.joined }))); // all counts are core's, over all edges
  if (mine && !place) parts.push(el('p', { class: 'inside' }, mine.window === 0 ? t('room.in_first') : t('room.in_late')));
  const first = state.windows.find((w) => w.window === 0);
  if (state.beacon && first && first.root && !first.sealed) notice(t('room.sealed', { name: state.beacon.name }));
  if (hint === 'account_required' || hint === 'account_other') notice(hint === 'account_other' ? said({ code: hint }) : t('room.accounts'), 'notice', el('p', { class: 'actions' }, el('a', { class: 'button', href: `/account?event=${slug}` }, t('common.sign_in'))));
  if (hint === 'session_bound_elsewhere' && state.identity === 'account') notice(t('room.moved'), 'notice', el('p', { class: 'actions' }, el('button', { onclick: () => { moving = true; wake(); } }, t('room.move'))));
  if (mine && mine.elsewhere && state.identity !== 'account') notice(t('room.elsewhere'), 'notice bad');
  if (mine && mine.band > 0) notice(t('room.later_band'));
  if (hint === 'not_registered') notice(t('problem.not_registered'), 'notice', el('p', { class: 'actions' }, el('a', { class: 'button', href: '#sales' }, t('room.register'))));
  if (!mine && state.phase === 'announced') parts.push(card(el('p', {}, past === undefined ? t('room.opens_at', { when: when(state.joining_at, state.time_zone) }) : t('room.next', { sale: saleName(selling), when: when(state.joining_at, state.time_zone) }))));
  if (state.phase === 'ended') parts.push(card(el('p', {}, t('room.over')), state.next ? el('p', {}, t('room.next', { sale: saleName(state.next.presale), when: when(state.next.joining_at, state.time_zone) })) : ''));
  const stock = state.stock || [];
  if (place && !place.called && stock.length && place.ahead > stock.reduce((all, s) => all + s.left, 0)) notice(t('room.may_sell_out'));
  const opens = (new Date(state.opens_at) - new Date(state.server_time)) / 1000;
  if (opens > 0) facts.append(fact(t('room.sale_opens'), when(state.opens_at, state.time_zone)), !mine ? fact(t('room.in_time'), duration(opens)) : '');
  facts.append(fact(t('room.phase'), phaseName(state.phase)), fact(t('room.joined'), number(Math.max(0, state.joined - state.called))));
  if (state.price_range) facts.append(fact(t('room.prices'), t('room.price_range', { from: money(state.price_range.from), to: money(state.price_range.to) })));
  const rows = stock.map((s) => el('div', { class: s.left ? 'left' : 'left none' }, el('span', {}, s.name, ' ', el('small', {}, money(s.price))),
    el('span', {}, s.left ? t(s.rounded ? 'common.left_about' : 'common.left', { n: s.left }) : t('common.none_left'))));
  const receipt = mine && mine.receipt && el('p', {}, el('small', {}, t('room.receipt_text'), ' ',
    el('a', { href: `/e/${slug}/draw` }, t('room.receipt_check')), ' · ', el('a', { href: `data:text/plain,${encodeURIComponent(mine.receipt)}`, download: `receipt-${slug}.txt` }, t('room.receipt_save'))));
  return [...parts, card(facts, receipt), ...(rows.length ? [card(el('h2', {}, t('room.stock')), ...rows)] : [])];
}

// ---- being called

let sound = null;

/** Asks to be allowed to call the buyer: by a notification, and by a sound, which browsers allow after a click only. */
async function listen(bell) {
  try {
    sound = new AudioContext();
    beep(0.05);
  } catch { /* there is no sound here */ }
  memory.write({ tell: true });
  if ('Notification' in window && Notification.permission === 'default') await Notification.requestPermission().catch(() => {});
  listening(bell);
}

function listening(bell) {
  if (!memory.read().tell) return;
  bell.disabled = true;
  bell.textContent = t('room.will_tell');
}

function beep(volume) {
  const [tone, gain] = [sound.createOscillator(), sound.createGain()];
  tone.frequency.value = 660;
  gain.gain.setValueAtTime(volume, sound.currentTime);
  gain.gain.exponentialRampToValueAtTime(0.001, sound.currentTime + 0.6);
  tone.connect(gain).connect(sound.destination);
  tone.start();
  tone.stop(sound.currentTime + 0.6);
}

let rung = false;

/** Calls the buyer: by the title, and where it was allowed by a notification and a sound. */
function ring() {
  document.title = t('room.title_turn', { page: event.name });
  if (rung) return;
  rung = true;
  say(t('room.turn_now'));
  if (!memory.read().tell) return;
  try {
    if (sound) [0, 800, 1600].forEach((ms) => setTimeout(() => beep(0.3), ms));
    if (navigator.vibrate) navigator.vibrate([200, 100, 200]);
    if ('Notification' in window && Notification.permission === 'granted' && document.visibilityState !== 'visible') {
      const note = new Notification(t('room.turn'), { body: event.name, tag: slug, icon: '/static/icon.svg' });
      note.onclick = () => { window.focus(); note.close(); };
    }
  } catch { /* some browsers let only workers notify; the title and the sound have to do */ }
}

async function claim() {
  ahead('shop', 'choose', 'seats', 'seatmap', 'seatpaint', 'mapinput', 'layout', 'seatlist', 'hold');
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
