// The map of an event's seats on a canvas. From afar it shows sections with what is left and what it costs, from near the seats. A frame
// draws only what is visible, and only when something has changed (seatpaint.js). What the map can do can be done with a finger, a mouse and
// the keyboard alone (mapinput.js); beside it stands a list (seatlist.js) that can do the same.

import { el } from './page.js';
import { arrange, runOf, seatPlace, sectionAt } from './layout.js';
import { connect, tell } from './mapinput.js';
import { Paint } from './seatpaint.js';
import { ACCESSIBLE, COMPANION, FREE } from './seats.js';

export const SEATS_FROM = 5; // pixels a seat from which seats are drawn
export const NEAR = 26; // … when a section or a seat is come near to
const MOST = 52;
const MOST_DPR = 2;
export const STEP = 1.5; // of + and -
const MOVE_MS = 240;

const still = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

/**
 * Makes a map. seats are those of seats.js, tiers the event's; price(tier) is what one costs, as text; chosen is the set of ordinals that
 * are chosen. onSeat(ordinal) is called when somebody picks a free seat, onZone(tier) for a place to stand; t are the words.
 */
export class SeatMap extends Paint {
  constructor({ seats, tiers, price, chosen, onSeat, onZone, t }) {
    super();
    Object.assign(this, { seats, tiers, price, chosen, onSeat, onZone, t });
    this.map = arrange(seats.sections, tiers, seats.count);
    this.only = null; // tiers that are shown in full; null: all
    this.byPrice = true;
    this.focus = null; // {section} or {seat} or {zone}
    this.ring = false; // whether it is shown: after a key, not after a finger
    this.hover = -1;
    this.frames = 0;
    this.drawn = 0; // seats in the last frame
    this.canvas = el('canvas', {});
    this.tip = el('div', { class: 'map-tip', hidden: true, 'aria-hidden': 'true' });
    this.where = el('div', { class: 'map-where', hidden: true, 'aria-hidden': 'true' });
    this.live = el('p', { class: 'unseen', 'aria-live': 'polite' });
    this.stage = el('div', { class: 'map-stage', role: 'application', tabindex: '0', 'aria-label': t('map.label'), 'aria-describedby': 'map-keys' }, this.canvas, this.tip, this.where);
    const button = (name, sign, act) => el('button', { type: 'button', class: 'map-button', 'aria-label': t(name), title: t(name), onclick: act }, sign);
    this.node = el('div', { class: 'map' }, this.stage,
      el('div', { class: 'map-zoom' }, button('map.in', '+', () => this.zoom(STEP)), button('map.out', '−', () => this.zoom(1 / STEP)), button('map.whole', '⤢', () => this.whole())),
      el('p', { id: 'map-keys', class: 'unseen' }, t('map.keys')), this.live);
    this.ctx = this.canvas.getContext('2d');
    this.camera = { x: 0, y: 0, scale: 0 };
    this.listen();
  }

  // ---- what its page calls

  /** Draws anew what changed: seats by their ordinals, or everything. */
  update(ordinals) {
    if (ordinals) for (const n of ordinals) this.stale(n); else this.pictures.clear();
    this.queue();
    if (this.focus && this.ring && document.activeElement === this.stage) tell(this);
  }

  /** Shows only some tiers in full, by their ids; null for all. */
  filter(ids) {
    this.only = ids && ids.size ? new Set([...ids].map((id) => this.tiers.findIndex((tier) => tier.id === id))) : null;
    this.update();
  }

  /** Colours by price, or by how much is left. */
  colour(byPrice) { this.byPrice = byPrice; this.update(); }

  /** Brings a section, by its id, or seats, by their ordinals, into view. */
  show({ section, seats }) {
    if (section !== undefined) { const s = this.map.sections.find((one) => one.id === section); if (s) this.toSection(s); return; }
    const at = seats.map((n) => seatPlace(this.map, n));
    const mean = (key) => at.reduce((sum, p) => sum + p[key], 0) / at.length;
    this.fly({ x: mean('x'), y: mean('y'), scale: Math.max(this.camera.scale, NEAR) });
  }

  close() {
    this.closed = true;
    this.resize.disconnect();
    for (const [list, f] of this.media) list.removeEventListener('change', f);
    cancelAnimationFrame(this.pending);
  }

  // ---- the camera

  measure() {
    const { clientWidth: w, clientHeight: h } = this.stage;
    if (!w || !h) return;
    const before = this.width;
    this.dpr = Math.min(devicePixelRatio || 1, MOST_DPR);
    [this.width, this.height] = [w, h];
    this.canvas.width = Math.round(w * this.dpr);
    this.canvas.height = Math.round(h * this.dpr);
    const { x0, y0, x1, y1 } = this.map.bounds;
    const fit = Math.min(w / (x1 - x0 + 4), h / (y1 - y0 + 4));
    const wasWhole = !before || this.camera.scale <= this.fit * 1.001;
    this.fit = fit;
    if (wasWhole) this.camera = this.wholeView();
    this.queue();
  }

  wholeView() {
    const { x0, y0, x1, y1 } = this.map.bounds;
    return { x: (x0 + x1) / 2, y: (y0 + y1) / 2, scale: this.fit };
  }

  whole() { this.fly(this.wholeView()); }

  clamp(c) {
    const { x0, y0, x1, y1 } = this.map.bounds;
    const scale = Math.max(this.fit, Math.min(Math.max(MOST, this.fit), c.scale));
    return { scale, x: Math.max(x0, Math.min(x1, c.x)), y: Math.max(y0, Math.min(y1, c.y)) };
  }

  set(camera) {
    this.flight = null;
    this.camera = this.clamp(camera);
    this.queue();
  }

  /** Moves there in a short while, or at once for who wants nothing to move. */
  fly(target) {
    const to = this.clamp(target);
    if (still() || !this.width) { this.set(to); return; }
    this.flight = { from: { ...this.camera }, to, start: performance.now() };
    this.queue();
  }

  zoom(by, px = this.width / 2, py = this.height / 2, flying = true) {
    const c = (this.flight && this.flight.to) || this.camera;
    const [x, y] = [c.x + (px - this.width / 2) / c.scale, c.y + (py - this.height / 2) / c.scale];
    const scale = this.clamp({ ...c, scale: c.scale * by }).scale;
    const next = scale <= this.fit ? this.wholeView() : { scale, x: x - (px - this.width / 2) / scale, y: y - (py - this.height / 2) / scale };
    if (flying) this.fly(next); else this.set(next);
  }

  toSection(s) {
    const scale = Math.max(SEATS_FROM + 1, Math.min(NEAR, this.width / (2 * s.half + 4), this.height / (s.outer - s.inner + 6)));
    this.fly({ x: s.x, y: s.y, scale });
  }

  toScreen(x, y) { const c = this.camera; return [(x - c.x) * c.scale + this.width / 2, (y - c.y) * c.scale + this.height / 2]; }

  toMap(px, py) { const c = this.camera; return [c.x + (px - this.width / 2) / c.scale, c.y + (py - this.height / 2) / c.scale]; }

  // ---- drawing

  queue() {
    if (this.closed || this.pending) return;
    this.pending = requestAnimationFrame((now) => { this.pending = 0; this.draw(now); });
  }

  draw(now) {
    if (!this.width || !this.colours) return;
    if (this.flight) {
      const share = Math.min(1, (now - this.flight.start) / MOVE_MS);
      const eased = 1 - (1 - share) ** 3;
      const { from, to } = this.flight;
      const scale = from.scale * (to.scale / from.scale) ** eased;
      const along = to.scale === from.scale ? eased : (1 / from.scale - 1 / scale) / (1 / from.scale - 1 / to.scale); // what is aimed at stays aimed at
      this.camera = { scale, x: from.x + (to.x - from.x) * along, y: from.y + (to.y - from.y) * along };
      if (share < 1) this.queue(); else { this.camera = to; this.flight = null; }
    }
    this.frames++;
    const { ctx, dpr } = this;
    const near = this.camera.scale >= SEATS_FROM;
    ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
    ctx.clearRect(0, 0, this.width, this.height);
    this.drawGround();
    const visible = this.visible();
    for (const s of visible) this.drawSection(s, near);
    this.drawn = near ? this.drawSeats(visible) : 0;
    if (near) this.drawRows(visible); else for (const s of visible) this.label(s);
    this.drawFocus();
    this.place(visible, near);
  }

  /** The stage, and where people stand. */
  drawGround() {
    const { ctx, colours, camera: { scale } } = this;
    const box = (z, radius) => { const [x, y] = this.toScreen(z.x, z.y); ctx.beginPath(); ctx.roundRect(x, y, z.w * scale, z.h * scale, radius); return [x + z.w * scale / 2, y + z.h * scale / 2]; };
    const [sx, sy] = box(this.map.stage, [3, 3, Math.min(18, 3 * scale), Math.min(18, 3 * scale)]);
    ctx.fillStyle = colours.stage;
    ctx.fill();
    const size = Math.min(15, this.map.stage.h * scale * 0.62);
    if (size >= 7) this.text(this.t('map.stage'), sx, sy, size, colours.ground, 700);
    for (const zone of this.map.zones) {
      const tier = this.tiers[zone.tier];
      const left = this.seats.left.tiers[tier.id];
      const [x, y] = box(zone, Math.min(14, 2 * scale));
      this.fillTint(zone.tier, left === 0 ? 0 : 1);
      if (zone.w * scale < 60) continue;
      const most = zone.w * scale - 12;
      this.text(tier.name, x, y - 8, 13, colours.ink, 700, most);
      this.text(`${this.price(tier)} · ${left === 0 ? this.t('common.none_left') : this.t('common.left', { n: left === undefined ? tier.left : left })}`, x, y + 9, 12, colours.ink, 500, most);
    }
  }

  drawSection(s, near) {
    const { ctx } = this;
    ctx.beginPath();
    s.corners.forEach(([x, y], i) => { const at = this.toScreen(x, y); if (i) ctx.lineTo(...at); else ctx.moveTo(...at); });
    ctx.closePath();
    if (near) {
      ctx.fillStyle = this.colours.ground;
      ctx.fill();
      ctx.lineWidth = 1;
      ctx.strokeStyle = this.colours.taken;
      ctx.stroke();
    } else {
      const seats = this.seatsIn(s);
      this.fillTint(s.tier, seats ? this.leftOf(s) / seats : 0);
    }
  }

  /** From afar: a section's name, and where there is room what is left and what it costs. */
  label(s) {
    const { scale } = this.camera;
    const [wide, deep] = [(s.inner + s.outer) * s.tan * scale * 0.86, (s.outer - s.inner) * scale];
    const room = Math.min(wide, deep * 1.6);
    if (room < 17) return;
    const [x, y] = this.toScreen(s.x, s.y);
    const left = this.leftOf(s);
    const gone = !left || this.dimmed(s.tier);
    const colour = gone ? this.colours.soft : this.colours.ink;
    if (wide < 74 || deep < 48) { this.text(s.id, x, y, Math.max(9, Math.min(14, room / 3)), colour, 700); return; }
    this.text(s.id, x, y - 15, 14, colour, 700);
    this.text(left ? this.t('common.left', { n: left }) : this.t('common.none_left'), x, y + 2, 11.5, colour, 500);
    this.text(this.price(this.tiers[s.tier]), x, y + 17, 11.5, colour, 500);
  }

  /** The ring around what the keyboard is at. */
  drawFocus() {
    if (!this.focus || !this.ring || document.activeElement !== this.stage) return;
    const { ctx, colours } = this;
    ctx.beginPath();
    if (this.focus.seat !== undefined) {
      const p = seatPlace(this.map, this.focus.seat);
      this.turn(p.section);
      ctx.roundRect(p.lx - 0.56, p.ly - 0.56, 1.12, 1.12, 0.3);
      this.straight();
    } else if (this.focus.zone) {
      const z = this.focus.zone;
      ctx.roundRect(...this.toScreen(z.x, z.y), z.w * this.camera.scale, z.h * this.camera.scale, 8);
    } else {
      this.focus.section.corners.forEach(([x, y], i) => { const at = this.toScreen(x, y); if (i) ctx.lineTo(...at); else ctx.moveTo(...at); });
      ctx.closePath();
    }
    for (const [width, colour] of [[6, colours.ground], [3, colours.ring]]) { ctx.lineWidth = width; ctx.strokeStyle = colour; ctx.stroke(); }
  }

  /** Says in a corner which section one is looking at, and at a seat which it is. */
  place(visible, near) {
    const middle = near && sectionAt(this.map, this.camera.x, this.camera.y);
    this.where.hidden = !middle;
    if (middle) this.write(this.where, `${this.t('map.section', { section: middle.id })} · ${this.tiers[middle.tier].name}`);
    const at = this.focus && this.focus.seat !== undefined && this.ring ? this.focus.seat : this.hover;
    this.tip.hidden = !near || at < 0;
    if (this.tip.hidden) return;
    const p = seatPlace(this.map, at);
    const [x, y] = this.toScreen(p.x, p.y);
    this.write(this.tip, this.nameOf(at));
    const half = Math.min(this.width / 2, this.tip.offsetWidth / 2 + 6);
    this.tip.style.transform = `translate(${Math.round(Math.max(half, Math.min(this.width - half, x)))}px, ${Math.round(y - this.camera.scale * 0.7 < 40 ? y + this.camera.scale * 0.7 + 34 : y - this.camera.scale * 0.7)}px) translate(-50%, -100%)`;
  }

  write(node, text) { if (node.textContent !== text) node.textContent = text; }

  /** A seat in words: where it is, what it costs, and how it stands. */
  nameOf(ordinal) {
    const [section, row, number] = this.seats.name(ordinal).split('/');
    const tier = this.tiers[this.map.sections[this.map.runSection[runOf(this.map, ordinal)]].tier];
    const flags = this.seats.flags[ordinal];
    const state = this.chosen.has(ordinal) ? this.t('map.chosen') : this.seats.state(ordinal) === FREE ? '' : this.t('map.taken');
    return [this.t('map.seat', { section, row, number }), this.price(tier), flags & ACCESSIBLE ? this.t('map.accessible') : '', flags & COMPANION ? this.t('map.companion') : '', state].filter(Boolean).join(' · ');
  }

  /** Follows the size of its box and the looks of the page, and whoever points or types. */
  listen() {
    this.resize = new ResizeObserver(() => { if (!this.colours) this.paint(); this.measure(); });
    this.resize.observe(this.stage);
    this.media = ['(prefers-color-scheme: dark)', '(forced-colors: active)', '(prefers-contrast: more)'].map((query) => {
      const list = matchMedia(query);
      const f = () => this.paint();
      list.addEventListener('change', f);
      return [list, f];
    });
    connect(this);
  }
}
