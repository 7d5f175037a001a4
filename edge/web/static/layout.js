// Where the seats of an event are on its map. An event file says which sections and rows there are, not where they stand: they are laid
// in arcs around the stage, tier by tier as the event lists them, as many arcs as look well. A unit is the space of one seat.
//
// Each section is a straight block turned around the middle of the arcs, so that a seat's place is its row and its place in the row, and
// the seat under a finger is found by turning back, without looking at others.

const ROW = 1.14; // from row to row
const TABLE = 1.9; // from table to table
const AISLE = 2.4; // between sections of one arc
const RING = 3.2; // between arcs
const EDGE = 0.9; // from the outermost seats to the section's edge
const STEEP = 0.28; // tangent of half the widest angle that one section may take

/** Half the angle over which arcs may go: a theatre, a hall, a stadium. */
const spread = (seats) => (seats < 4000 ? 1.15 : seats < 15000 ? 1.9 : 2.75);

/** Lays out the sections of an event. sections and count are those of seats.js; tiers are the event's, of every kind. */
export function arrange(sections, tiers, count) {
  const map = { sections: [], zones: [], count };
  const runs = sections.reduce((sum, s) => sum + s.rows.length, 0);
  Object.assign(map, { runX: new Float32Array(runs), runY: new Float32Array(runs), runStart: new Uint32Array(runs + 1), runLength: new Uint16Array(runs), runSection: new Uint16Array(runs) });
  let run = 0;
  sections.forEach((section, index) => {
    const block = blockOf(map, section, index, run);
    run += section.rows.length;
    block.tier = tiers.findIndex((t) => t.id === section.tier);
    map.sections.push(block);
  });
  map.runStart[runs] = count;

  const pit = pitOf(tiers, count);
  let radius = pit.depth + 7;
  const half = spread(count);
  tiers.forEach((_, tier) => {
    const blocks = map.sections.filter((s) => s.tier === tier && s.to > s.from);
    for (const ring of ringsOf(blocks, radius, half)) radius = place(ring, radius, half) + RING;
  });
  const first = Math.min(...map.sections.map((s) => s.inner));
  const far = Math.max(...map.sections.map((s) => s.outer));
  const depth = Math.max(4, far * 0.055);
  const round = half > 2; // the stage is at the open end of the bowl, else before the first row
  // Whatever lies within the circle of the first row's radius is clear of all seats.
  const bottom = first * (round ? 0.72 : 0.9) - 1;
  const width = Math.max(10, Math.min(1.9 * Math.sqrt(first ** 2 - bottom ** 2), far * 0.7));
  const top = round ? -bottom : bottom - pit.depth - depth - 1;
  map.stage = { x: -width / 2, y: pit.zones || round ? top : bottom - depth, w: width, h: depth };
  zonesOf(map, tiers, pit, { y: map.stage.y + depth + 1, depth: bottom - map.stage.y - depth - 1, width });
  finish(map);
  return map;
}

/** One section as a block of rows whose front is at 0, and its runs of seats; two runs of one row stand in one line. */
function blockOf(map, section, index, run) {
  const block = { id: section.id, index, from: run, to: run + section.rows.length, lines: [], wide: 0, widths: [] };
  let line = null;
  section.rows.forEach((row, at) => {
    if (!line || line.label !== row.label) {
      const table = Boolean(row.extra && row.extra.table);
      line = { label: row.label, y: line ? line.y + (table || line.table ? TABLE : ROW) : 0, first: row.first, last: row.last, from: run + at, to: run + at, table };
      block.lines.push(line);
    }
    line.first = Math.min(line.first, row.first);
    line.last = Math.max(line.last, row.last);
    line.to = run + at + 1;
    map.runStart[run + at] = row.start;
    map.runLength[run + at] = row.last - row.first + 1;
    map.runSection[run + at] = index;
  });
  section.rows.forEach((row, at) => {
    const of = block.lines.find((l) => run + at >= l.from && run + at < l.to);
    map.runX[run + at] = row.first - (of.first + of.last) / 2;
    map.runY[run + at] = of.y;
  });
  block.depth = line ? line.y : 0;
  block.widths = []; // of rows that are wider than all before them: the others take no wider an angle
  for (const l of block.lines) { const wide = l.last - l.first + 1; if (!block.widths.length || wide > block.widths.at(-1)[0]) block.widths.push([wide, l.y]); }
  block.reach = Math.max(0, ...block.lines.map((l) => (l.last - l.first) / 2));
  return block;
}

/** The tangent of half the angle that a block takes when its front row is at a radius. */
const steepness = (block, radius) => Math.max(...block.widths.map(([wide, y]) => (wide / 2 + AISLE / 2 + EDGE / 2) / (radius + y)));
const angle = (block, radius) => 2 * Math.atan(steepness(block, radius));
const fits = (blocks, radius, half) => blocks.every((b) => steepness(b, radius) <= STEEP) && blocks.reduce((sum, b) => sum + angle(b, radius), 0) <= 2 * half;

/** The smallest radius from a given one at which the blocks fit side by side. */
function radiusFor(blocks, radius, half) {
  let [low, high] = [radius, radius];
  while (!fits(blocks, high, half)) { low = high; high *= 1.4; }
  while (high - low > 0.25) { const mid = (low + high) / 2; if (fits(blocks, mid, half)) high = mid; else low = mid; }
  return high;
}

/** Divides a tier's blocks among arcs so that the map does not grow wide, with few arcs. */
function ringsOf(blocks, radius, half) {
  if (!blocks.length) return [];
  let best = [];
  let least = Infinity;
  for (let rings = 1; rings <= 4 && rings <= blocks.length; rings++) {
    const split = [];
    let at = 0;
    for (let k = 0; k < rings; k++) { // later arcs are longer
      const share = (radius + 40 * k + 30) / Array.from({ length: rings - k }, (_, j) => radius + 40 * (k + j) + 30).reduce((a, b) => a + b, 0);
      const take = k === rings - 1 ? blocks.length - at : Math.max(1, Math.round((blocks.length - at) * share));
      split.push(blocks.slice(at, at + take));
      at += take;
    }
    if (split.some((ring) => !ring.length)) continue;
    const outer = split.reduce((r, ring) => radiusFor(ring, r, half) + Math.max(...ring.map((b) => b.depth)) + RING, radius);
    if (outer < least * 0.93) { least = outer; best = split; }
  }
  return best;
}

/** Places blocks side by side on an arc, the first one at the left as one looks at the stage from above; answers where the arc ends. */
function place(blocks, radius, half) {
  const inner = radiusFor(blocks, radius, half);
  let turn = blocks.reduce((sum, b) => sum + angle(b, inner), 0) / 2;
  let outer = inner;
  for (const b of blocks) {
    const wide = angle(b, inner);
    const at = turn - wide / 2;
    turn -= wide;
    Object.assign(b, { cos: Math.cos(at), sin: Math.sin(at), front: inner, inner: inner - EDGE, outer: inner + b.depth + EDGE, tan: Math.tan(wide / 2) });
    outer = Math.max(outer, Math.hypot(b.outer, b.outer * b.tan)); // at its corners
  }
  return outer;
}

/** How deep the room before the seats is where people stand. */
function pitOf(tiers, count) {
  const general = tiers.filter((t) => t.kind === 'general');
  return { depth: general.length ? Math.min(26, 9 + 5 * general.length + Math.sqrt(count) / 20, 3 + 2 * general.length + Math.sqrt(count) / 4) : 1.5, zones: general.length };
}

/** Where people stand: one behind the other, in the order of the event. */
function zonesOf(map, tiers, pit, room) {
  const each = room.depth / Math.max(1, pit.zones);
  let y = room.y;
  tiers.forEach((tier, index) => {
    if (tier.kind !== 'general') return;
    map.zones.push({ tier: index, x: -room.width / 2, y, w: room.width, h: each - 0.8 });
    y += each;
  });
}

/** A section's corners, the bounds of all, and the grid by which what is under a finger is found. */
function finish(map) {
  const bounds = { x0: Infinity, y0: Infinity, x1: -Infinity, y1: -Infinity };
  const grow = (x, y) => { bounds.x0 = Math.min(bounds.x0, x); bounds.y0 = Math.min(bounds.y0, y); bounds.x1 = Math.max(bounds.x1, x); bounds.y1 = Math.max(bounds.y1, y); };
  for (const s of map.sections) {
    const [a, b] = [s.inner * s.tan - AISLE / 2, s.outer * s.tan - AISLE / 2];
    s.corners = [[-a, s.inner], [a, s.inner], [b, s.outer], [-b, s.outer]].map(([x, y]) => toWorld(s, x, y));
    s.x0 = Math.min(...s.corners.map((c) => c[0]));
    s.x1 = Math.max(...s.corners.map((c) => c[0]));
    s.y0 = Math.min(...s.corners.map((c) => c[1]));
    s.y1 = Math.max(...s.corners.map((c) => c[1]));
    s.half = b;
    [s.x, s.y] = toWorld(s, 0, (s.inner + s.outer) / 2);
    grow(s.x0, s.y0);
    grow(s.x1, s.y1);
  }
  for (const z of [map.stage, ...map.zones]) { grow(z.x, z.y); grow(z.x + z.w, z.y + z.h); }
  map.bounds = bounds;
  map.cell = Math.max(bounds.x1 - bounds.x0, bounds.y1 - bounds.y0) / 24;
  map.grid = new Map();
  for (const s of map.sections) {
    for (let i = column(map, s.x0); i <= column(map, s.x1); i++) {
      for (let j = line(map, s.y0); j <= line(map, s.y1); j++) {
        const key = i * 64 + j;
        if (!map.grid.has(key)) map.grid.set(key, []);
        map.grid.get(key).push(s.index);
      }
    }
  }
}

const column = (map, x) => Math.floor((x - map.bounds.x0) / map.cell);
const line = (map, y) => Math.floor((y - map.bounds.y0) / map.cell);

/** From a section's own coordinates, y away from the stage, to those of the map, and back. */
export const toWorld = (s, x, y) => [x * s.cos - y * s.sin, x * s.sin + y * s.cos];
export const toLocal = (s, x, y) => [x * s.cos + y * s.sin, -x * s.sin + y * s.cos];

/** The section at a point of the map, or undefined. */
export function sectionAt(map, x, y) {
  for (const index of map.grid.get(column(map, x) * 64 + line(map, y)) || []) {
    const s = map.sections[index];
    const [lx, ly] = toLocal(s, x, y);
    if (ly >= s.inner && ly <= s.outer && Math.abs(lx) <= ly * s.tan) return s;
  }
  return undefined;
}

/** The zone at a point of the map, or undefined. */
export const zoneAt = (map, x, y) => map.zones.find((z) => x >= z.x && x <= z.x + z.w && y >= z.y && y <= z.y + z.h);

/** The seat of a section that is nearest to a point of the map, within half a seat or a given reach; -1 for none. */
export function seatAt(map, s, x, y, reach = 0.62) {
  const [lx, ly] = toLocal(s, x, y);
  let found = -1;
  let least = reach;
  for (let r = s.from; r < s.to; r++) {
    const dy = Math.abs(ly - s.front - map.runY[r]);
    if (dy > least) continue;
    const n = Math.max(0, Math.min(map.runLength[r] - 1, Math.round(lx - map.runX[r])));
    const d = Math.max(dy, Math.abs(lx - map.runX[r] - n));
    if (d <= least) { least = d; found = map.runStart[r] + n; }
  }
  return found;
}

/** The run in which a seat is. */
export function runOf(map, ordinal) {
  let [low, high] = [0, map.runStart.length - 1];
  while (low + 1 < high) { const mid = (low + high) >> 1; if (map.runStart[mid] <= ordinal) low = mid; else high = mid; }
  return low;
}

/** Where a seat is: its section and its coordinates there and on the map. */
export function seatPlace(map, ordinal) {
  const run = runOf(map, ordinal);
  const section = map.sections[map.runSection[run]];
  const [lx, ly] = [map.runX[run] + ordinal - map.runStart[run], section.front + map.runY[run]];
  const [x, y] = toWorld(section, lx, ly);
  return { run, section, lx, ly, x, y };
}
