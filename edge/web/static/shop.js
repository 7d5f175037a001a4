// Choosing tickets: places to stand, numbered seats on a map or in a list, the best seats together, and what other buyers sell on.

import { event, holdPage, left, memory, onLeave, path, refreshed, show, slug, waitingRoom } from './event.js';
import { bestForm, companionRule, contents, keysOf, offered, placesOf, refusal, signsOf } from './choose.js';
import { el, newKey, patiently, pause, say } from './page.js';
import { SeatList } from './seatlist.js';
import { SeatMap } from './seatmap.js';
import { COMPANION, FREE, TABLE, loadSeats } from './seats.js';
import { money, t } from './words.js';

const VIEW = 'fairgate-seats'; // where this browser remembers whether it is the map or the list

/** Shows what can be chosen. problem is what went wrong before; again are the items of a hold that ran out, to be tried once more; kept is what
 *  was chosen before, of which stays chosen what can still be had. */
export async function shop(problem, again, kept) {
  const [{ data: fresh }, seats] = await Promise.all([patiently('GET', path), loadSeats(slug, (part) => patiently('GET', part))]);
  refreshed(fresh);
  say('');
  new Shop(seats, kept).show(problem, again);
}

class Shop {
  constructor(seats, kept = { counts: {}, names: [] }) {
    this.seats = seats;
    this.most = event.per_buyer || 8;
    this.counts = kept.counts; // of places to stand, by tier
    this.chosen = new Set(seats ? kept.names.map((name) => seats.find(name)).filter((n) => n >= 0 && seats.state(n) === FREE) : []); // seats by ordinal
    this.seated = seats && seats.count ? event.tiers.filter((tier) => tier.kind === 'seated') : [];
  }

  show(problem, again) {
    this.alert = el('p', { class: 'notice bad', role: 'alert', hidden: !problem }, problem || '');
    this.gone = el('section', { class: 'card gone', hidden: true }, el('h2', {}, t('shop.gone')), el('p', { class: 'quiet' }, t('shop.gone_text')));
    this.places = placesOf(event.tiers.filter((tier) => tier.kind === 'general'), this.most, (tier) => this.stock(tier), this.counts, (tier, n) => { this.counts[tier.id] = n; this.changed(); });
    this.offers = offered((listing) => this.hold([{ listing }]));
    const nodes = [this.alert, again ? this.tryAgain(again) : '', this.gone, this.places.node];
    if (this.seated.length) nodes.push(this.seatCard());
    show(...nodes.filter(Boolean), this.offers.node, this.bar());
    this.refresh();
    this.offers.follow();
    onLeave(() => { this.closed = true; this.offers.close(); if (this.map) this.map.close(); if (this.seats) this.seats.close(); });
    if (!this.seats) return;
    this.seats.follow({ changed: (ordinals) => this.refresh(ordinals), moved: () => shop(t('shop.moved')), phase: (name) => { if (name === 'announced' || name === 'joining') waitingRoom(); else if (name === 'paused' || name === 'ended') say(t(name === 'paused' ? 'shop.paused' : 'shop.ended')); } });
  }

  stock(tier) { const n = this.seats && this.seats.left.tiers[tier.id]; return n === undefined ? tier.left : n; }

  tierOf(ordinal) { const { section } = this.seats.run(ordinal); const { tier } = this.seats.sections.find((one) => one.id === section); return event.tiers.find((one) => one.id === tier); }

  // ---- numbered seats

  seatCard() {
    const { seats, chosen } = this;
    const onSeat = (ordinal) => this.pick(ordinal);
    this.map = new SeatMap({ seats, tiers: event.tiers, price: (tier) => money(tier.price), chosen, onSeat, onZone: (tier) => this.places.focus(tier), t });
    this.list = new SeatList({ seats, tiers: event.tiers, chosen, onSeat });
    this.keys = keysOf(this.seated, (ids) => { this.map.filter(ids); this.list.filter(ids); }, (byPrice) => this.map.colour(byPrice));
    const views = { map: this.map.node, list: this.list.node };
    const buttons = Object.keys(views).map((name) => el('button', { type: 'button', class: 'plain', onclick: () => { look(name); try { localStorage.setItem(VIEW, name); } catch { /* then not */ } } }, t(name === 'map' ? 'shop.as_map' : 'shop.as_list')));
    const look = (name) => {
      Object.keys(views).forEach((one, i) => { views[one].hidden = one !== name; buttons[i].setAttribute('aria-pressed', String(one === name)); });
      this.keys.colouring.hidden = name !== 'map';
    };
    let view = 'map';
    try { view = localStorage.getItem(VIEW) || view; } catch { /* as it is */ }
    look(views[view] ? view : 'map');
    return el('section', { class: 'card seatcard' }, el('div', { class: 'head' }, el('h2', {}, t('shop.seats')), el('div', { class: 'views', role: 'group', 'aria-label': t('shop.views') }, buttons)),
      bestForm(this.seated, seats.sections, this.most, (best) => this.hold([{ best }])), this.keys.node, views.map, views.list, signsOf(seats.flags), this.keys.colouring, this.keys.what);
  }

  /** Chooses a seat, or chooses it no more. A table is chosen whole. */
  pick(ordinal) {
    const all = this.seats.flags[ordinal] & TABLE ? this.seats.rowOf(ordinal) : [ordinal];
    if (this.chosen.has(ordinal)) for (const n of all) this.chosen.delete(n);
    else if (this.total() + all.length > this.most) { this.warn(t(all.length > 1 ? 'shop.table_whole' : 'shop.at_most', { n: all.length > 1 ? all.length : this.most })); return; }
    else if (all.some((n) => this.seats.state(n) !== FREE)) { this.warn(t('shop.table_whole', { n: all.length })); return; }
    else for (const n of all) this.chosen.add(n);
    const alone = [...this.chosen].some((n) => this.seats.flags[n] & COMPANION && !this.seats.accompanies(n, this.chosen));
    this.warn(alone ? companionRule() : ''); // it may still be had: by who has bought the seat beside it before
    this.changed(all);
  }

  warn(text) { this.alert.hidden = !text; this.alert.textContent = text; if (text) this.alert.scrollIntoView({ block: 'nearest' }); }

  total() { return Object.values(this.counts).reduce((sum, n) => sum + n, 0) + this.chosen.size; }

  seatName(ordinal) { const [section, row, number] = this.seats.name(ordinal).split('/'); return t('map.seat', { section, row, number }); }

  // ---- what is chosen, at the foot of the screen

  bar() {
    this.sum = el('strong');
    this.inside = el('small');
    this.picked = el('ul', { class: 'picked' });
    this.go = el('button', { onclick: () => this.hold(this.items()) }, t('shop.go'));
    return el('div', { class: 'actions buybar' }, this.picked, el('div', { class: 'sum', role: 'status' }, this.sum, this.inside), this.go);
  }

  /** Shows what is chosen after it has changed. */
  changed(ordinals = []) {
    const tiers = [...Object.entries(this.counts).flatMap(([id, n]) => Array(n).fill(event.tiers.find((tier) => tier.id === id))), ...[...this.chosen].map((n) => this.tierOf(n))];
    const n = this.total();
    this.go.disabled = n < 1 || n > this.most;
    const sum = (part) => ({ minor: tiers.reduce((total, tier) => total + tier[part].minor, 0), currency: event.currency });
    write(this.sum, n ? `${t('shop.chosen', { n })} · ${money(sum('price'))}` : t('shop.choose', { n: this.most }));
    write(this.inside, n ? contents({ face: sum('face'), fee: sum('fee'), tax: sum('tax') }) : t('shop.all_in'));
    if (n > this.most) this.warn(t('shop.at_most', { n: this.most }));
    const seats = [...this.chosen].join();
    if (seats !== this.shown) this.picked.replaceChildren(...[...this.chosen].map((ordinal) => el('li', {}, el('button', { type: 'button', class: 'plain', 'aria-label': t('shop.drop', { seat: this.seatName(ordinal) }), onclick: () => this.pick(ordinal) }, `${this.seats.name(ordinal).replaceAll('/', ' · ')} ✕`))));
    this.shown = seats;
    if (this.map) { this.map.update(ordinals); this.list.update(); }
  }

  /** After seats have come or gone: those, or any. What somebody else was quicker to take is chosen no more, and that is said. */
  refresh(ordinals) {
    const lost = [...this.chosen].filter((ordinal) => this.seats.state(ordinal) !== FREE);
    for (const ordinal of lost) this.chosen.delete(ordinal);
    this.places.update();
    const none = event.tiers.every((tier) => this.stock(tier) < 1);
    if (this.gone.hidden === none) this.gone.hidden = !none;
    if (this.map) this.map.update(ordinals);
    this.changed(lost);
    if (lost.length) this.warn(t('shop.taken', { seats: lost.map((ordinal) => this.seatName(ordinal)).join('; ') }));
  }

  items() {
    const items = Object.entries(this.counts).filter(([, n]) => n > 0).map(([tier, quantity]) => ({ tier, quantity }));
    const tables = new Set();
    const seats = [];
    for (const ordinal of this.chosen) {
      if (this.seats.flags[ordinal] & TABLE) { const { section, label } = this.seats.run(ordinal); tables.add(`${section}/${label}`); } else seats.push(this.seats.name(ordinal));
    }
    if (seats.length) items.push({ seats });
    if (tables.size) items.push({ rows: [...tables] });
    return items;
  }

  /** Holds items, and goes on to the payment; or says why they cannot be had. tries is how often more it is tried before that, a second apart. */
  async hold(items, tries = 0) {
    if (this.holding) return;
    this.holding = true;
    this.go.disabled = true;
    this.go.setAttribute('aria-busy', 'true');
    const kept = { counts: this.counts, names: [...this.chosen].map((n) => this.seats.name(n)) };
    if (this.seats) this.seats.close(); // what is held from here on is ours
    const ask = () => patiently('POST', '/v1/holds', { body: { event: slug, items }, key: newKey() });
    let { status, data } = await ask();
    for (; status === 409 && tries > 0 && !this.closed; tries--) {
      await pause(1000);
      ({ status, data } = await ask());
    }
    if (this.closed) return;
    if (status === 201) { memory.write({ hold: data.id, orderKey: newKey() }); left(); await holdPage(data.id, data); return; }
    if (status === 401 || data.code === 'sale_ended' || data.code === 'presale_over') { await waitingRoom(); return; } // which says what comes next
    await shop(refusal(data), undefined, kept);
  }

  /** For whom a hold ran out: the same once more. What ran out a moment ago may not be back on sale yet. */
  tryAgain(items) {
    return el('div', { class: 'actions' }, el('button', { onclick: () => this.hold(items, 2) }, t('shop.same_again')));
  }
}

function write(node, text) { if (node.textContent !== text) node.textContent = text; }
