// How fingers, a mouse, a wheel and the keyboard move a map of seats (seatmap.js) and choose on it.

import { runOf, seatAt, seatPlace, sectionAt, toLocal, toWorld, zoneAt } from './layout.js';
import { NEAR, SEATS_FROM, STEP } from './seatmap.js';
import { FREE } from './seats.js';

const CHOOSE_FROM = { mouse: 8, pen: 12, touch: 15 }; // pixels a seat: below that a tap comes nearer instead of choosing, since fingers are wide
const SLACK = { mouse: 4, pen: 8, touch: 10 }; // pixels by which a tap may slip
const KEY_PAN = 80; // pixels

export function connect(map) {
  pointers(map);
  map.stage.addEventListener('wheel', (e) => {
    const by = Math.exp(-e.deltaY * (e.deltaMode ? 0.05 : e.ctrlKey ? 0.01 : 0.0018));
    if (by < 1 && map.camera.scale <= map.fit) return; // out of the map: the page scrolls
    e.preventDefault();
    map.zoom(by, ...within(map, e), false);
  }, { passive: false });
  map.stage.addEventListener('keydown', (e) => { if (!e.metaKey && !e.ctrlKey && !e.altKey && key(map, e)) e.preventDefault(); });
  map.stage.addEventListener('focus', () => { map.ring = map.stage.matches(':focus-visible'); if (map.ring) { map.focus = map.focus || first(map); tell(map); } map.queue(); });
  map.stage.addEventListener('blur', () => map.queue());
}

const within = (map, e) => { const box = map.stage.getBoundingClientRect(); return [e.clientX - box.left, e.clientY - box.top]; };

// ---- fingers and mouse

function pointers(map) {
  const down = new Map(); // id → {x, y, x0, y0, type}
  let far = false; // the pointers have gone too far for a tap, or were two
  const middle = () => { const all = [...down.values()].slice(0, 2); return [all.reduce((s, p) => s + p.x, 0) / all.length, all.reduce((s, p) => s + p.y, 0) / all.length, all.length > 1 ? Math.hypot(all[0].x - all[1].x, all[0].y - all[1].y) : 0]; };
  map.stage.addEventListener('pointerdown', (e) => {
    if (e.button) return;
    const [x, y] = within(map, e);
    if (!down.size) far = false; else far = true;
    down.set(e.pointerId, { x, y, x0: x, y0: y, type: e.pointerType });
    map.stage.setPointerCapture(e.pointerId);
    map.ring = false;
  });
  map.stage.addEventListener('pointermove', (e) => {
    const [x, y] = within(map, e);
    const p = down.get(e.pointerId);
    if (!p) { hover(map, x, y); return; }
    const [mx, my, apart] = middle();
    p.x = x;
    p.y = y;
    if (!far && Math.hypot(x - p.x0, y - p.y0) <= (SLACK[p.type] || 4)) return;
    if (!far) { far = true; map.stage.classList.add('moving'); return; }
    const [nx, ny, now] = middle();
    const c = map.camera;
    const scale = apart && now ? map.clamp({ ...c, scale: c.scale * (now / apart) }).scale : c.scale;
    const [wx, wy] = map.toMap(mx, my); // what was between the fingers stays there
    map.set({ scale, x: wx - (nx - map.width / 2) / scale, y: wy - (ny - map.height / 2) / scale });
  });
  const up = (e) => {
    const p = down.get(e.pointerId);
    down.delete(e.pointerId);
    if (!down.size) map.stage.classList.remove('moving');
    if (p && !far && e.type === 'pointerup') tap(map, p.x0, p.y0, p.type);
  };
  map.stage.addEventListener('pointerup', up);
  map.stage.addEventListener('pointercancel', up);
  map.stage.addEventListener('pointerleave', () => hover(map, -1, -1));
}

function hover(map, x, y) {
  const near = map.camera.scale >= SEATS_FROM && x >= 0;
  const at = near ? map.toMap(x, y) : null;
  const s = at && sectionAt(map.map, ...at);
  const seat = s ? seatAt(map.map, s, ...at) : -1;
  const free = seat >= 0 && map.seats.state(seat) === FREE;
  map.stage.classList.toggle('pointing', free || (!near && x >= 0 && Boolean(sectionAt(map.map, ...map.toMap(x, y)) || zoneAt(map.map, ...map.toMap(x, y)))));
  if (seat !== map.hover) { map.hover = seat; map.queue(); }
}

function tap(map, px, py, type) {
  const at = map.toMap(px, py);
  const zone = zoneAt(map.map, ...at);
  const s = sectionAt(map.map, ...at);
  if (zone && !s) { map.onZone(map.tiers[zone.tier]); return; }
  if (!s) return;
  const { scale } = map.camera;
  if (scale < SEATS_FROM) { map.toSection(s); return; }
  const seat = seatAt(map.map, s, ...at, Math.max(0.62, (type === 'mouse' ? 6 : 18) / scale));
  if (seat < 0) return;
  if (scale < (CHOOSE_FROM[type] || 8)) { const p = seatPlace(map.map, seat); map.fly({ x: p.x, y: p.y, scale: NEAR }); return; }
  map.focus = { seat };
  choose(map, seat);
}

function choose(map, seat) {
  if (map.seats.state(seat) !== FREE && !map.chosen.has(seat)) return;
  map.onSeat(seat);
  map.update([seat]);
}

// ---- the keyboard

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** What a key does; answers whether it does anything. */
function key(map, e) {
  map.ring = true;
  if (ARROWS[e.key]) {
    if (e.shiftKey) { const c = map.camera; map.set({ ...c, x: c.x + (ARROWS[e.key][0] * KEY_PAN) / c.scale, y: c.y + (ARROWS[e.key][1] * KEY_PAN) / c.scale }); return true; }
    return arrow(map, ARROWS[e.key]);
  }
  switch (e.key) {
    case '+': case '=': map.zoom(STEP); return true;
    case '-': case '_': map.zoom(1 / STEP); return true;
    case '0': map.whole(); return true;
    case 'Enter': case ' ': return enter(map);
    case 'Escape': return escape(map);
    default: return false;
  }
}

const first = (map) => (map.map.sections.length ? { section: map.map.sections[0] } : null);

function arrow(map, [dx, dy]) {
  if (!map.focus) { map.focus = first(map); tell(map); return true; }
  const next = map.focus.seat !== undefined ? seatBeside(map, map.focus.seat, dx, dy) : areaBeside(map, dx, dy);
  if (!next) { map.live.textContent = map.t('map.end'); return true; }
  map.focus = next;
  tell(map);
  keepInSight(map);
  return true;
}

/** The section or zone that is next in a direction. */
function areaBeside(map, dx, dy) {
  const of = (area) => (area.corners ? [area.x, area.y] : [area.x + area.w / 2, area.y + area.h / 2]);
  const here = of(map.focus.section || map.focus.zone);
  let best = null;
  let least = Infinity;
  for (const area of [...map.map.sections, ...map.map.zones]) {
    const [x, y] = of(area);
    const along = (x - here[0]) * dx + (y - here[1]) * dy;
    const aside = Math.abs((x - here[0]) * dy) + Math.abs((y - here[1]) * dx);
    if (along > 0.5 && along + 2.5 * aside < least && aside < along * 4) { least = along + 2.5 * aside; best = area.corners ? { section: area } : { zone: area }; }
  }
  return best;
}

/** The next free seat in a direction as it is seen: along the row, or in the rows before or behind, or else in the section beside. */
function seatBeside(map, ordinal, dx, dy) {
  const { map: m } = map;
  const p = seatPlace(m, ordinal);
  const [lx, ly] = [dx * p.section.cos + dy * p.section.sin, -dx * p.section.sin + dy * p.section.cos];
  const can = (o) => map.seats.state(o) === FREE || map.chosen.has(o);
  let best = -1;
  let least = Infinity;
  const along = Math.abs(lx) >= Math.abs(ly);
  for (let r = p.section.from; r < p.section.to; r++) {
    const down = m.runY[r] - m.runY[p.run];
    if (along ? Math.abs(down) > 0.01 : down * Math.sign(ly) <= 0.01) continue;
    for (let n = 0; n < m.runLength[r]; n++) {
      const side = m.runX[r] + n - p.lx;
      if (along && side * Math.sign(lx) <= 0) continue;
      const cost = along ? Math.abs(side) : Math.abs(down) * 100 + Math.abs(side);
      if (cost < least && can(m.runStart[r] + n)) { least = cost; best = m.runStart[r] + n; }
    }
  }
  if (best >= 0) return { seat: best };
  for (let step = 1; step < 60; step++) { // beyond the section
    const [x, y] = [p.x + dx * step, p.y + dy * step];
    const s = sectionAt(m, x, y);
    if (s && s !== p.section) { const near = nearest(map, s, x, y); if (near >= 0) return { seat: near }; }
  }
  return null;
}

/** The free seat of a section that is nearest to a point; -1 when none is free. */
function nearest(map, s, x, y) {
  const { map: m } = map;
  const [lx, ly] = toLocal(s, x, y);
  let best = -1;
  let least = Infinity;
  for (let r = s.from; r < s.to; r++) {
    for (let n = 0; n < m.runLength[r]; n++) {
      const d = Math.hypot(m.runX[r] + n - lx, s.front + m.runY[r] - ly);
      if (d < least && map.seats.state(m.runStart[r] + n) === FREE) { least = d; best = m.runStart[r] + n; }
    }
  }
  return best;
}

function enter(map) {
  const { focus } = map;
  if (!focus) return false;
  if (focus.zone) { map.onZone(map.tiers[focus.zone.tier]); return true; }
  if (focus.seat !== undefined) { choose(map, focus.seat); tell(map); return true; }
  const seat = nearest(map, focus.section, ...toWorld(focus.section, 0, focus.section.front));
  if (seat < 0) { map.live.textContent = map.t('common.none_left'); return true; }
  map.focus = { seat };
  map.toSection(focus.section);
  tell(map);
  return true;
}

/** From a seat to its section, from there to the whole; then the key is the page's. */
function escape(map) {
  if (map.focus && map.focus.seat !== undefined) {
    map.focus = { section: map.map.sections[map.map.runSection[runOf(map.map, map.focus.seat)]] };
    map.whole();
    tell(map);
    return true;
  }
  if (map.camera.scale <= map.fit) return false;
  map.whole();
  return true;
}

/** Moves the map when what the keyboard is at is near its edge or out of it. */
function keepInSight(map) {
  const to = (map.flight && map.flight.to) || map.camera;
  const p = map.focus.seat !== undefined ? seatPlace(map.map, map.focus.seat) : map.focus.section || { x: map.focus.zone.x + map.focus.zone.w / 2, y: map.focus.zone.y + map.focus.zone.h / 2 };
  const [px, py] = [(p.x - to.x) * to.scale + map.width / 2, (p.y - to.y) * to.scale + map.height / 2];
  const edge = Math.min(60, map.width / 5);
  if (px < edge || py < edge || px > map.width - edge || py > map.height - edge) map.fly({ ...to, x: p.x, y: p.y });
}

/** Says what the keyboard is at; quietly when it said so before. */
function tell(map) {
  map.queue();
  const { focus } = map;
  if (!focus) return;
  let text;
  if (focus.seat !== undefined) text = map.nameOf(focus.seat);
  else {
    const tier = map.tiers[(focus.section || focus.zone).tier];
    const left = focus.section ? map.leftOf(focus.section) : map.seats.left.tiers[tier.id];
    text = [focus.section ? map.t('map.section', { section: focus.section.id }) : '', tier.name, map.price(tier), left ? map.t('common.left', { n: left }) : map.t('common.none_left')].filter(Boolean).join(' · ');
  }
  if (map.live.textContent !== text) map.live.textContent = text;
}

export { tell };
