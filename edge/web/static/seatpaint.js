// How the sections and seats of a map are drawn (seatmap.js, which is one of these). Seats from some way off are pictures of their section, kept
// until a seat of it changes, at most a few new ones in a frame; seats from near are drawn each, gathered by colour.

import { runOf, seatPlace, toLocal, toWorld } from './layout.js';
import { ACCESSIBLE, COMPANION, FREE } from './seats.js';

const EACH_FROM = 14; // pixels a seat from which each is drawn by itself, instead of as part of its section's picture
const ROUND_FROM = 18; // … with round corners
const NUMBERS_FROM = 21; // … with their numbers
const ROWS_FROM = 8; // … and rows with their labels
const SHARP = [7, 13]; // pixels a seat of pictures of sections
const MOST_PIXELS = 14e6; // of all pictures
const NEW_PICTURES = 2; // in a frame

// What is drawn in which order; the free seats of tier i come at FREE_SEATS + i. Accessible seats and companions' have a sign on top of that.
const [TAKEN, CHOSEN, DIMMED, RING, CROSS, FREE_SEATS] = [0, 1, 2, 3, 4, 5];

export class Paint {
  buckets = [];
  pictures = new Map(); // section → its picture, the one that was used last at the end

  /** The colours of the page, which change with its scheme. */
  paint() {
    const style = getComputedStyle(this.node);
    const of = (name) => style.getPropertyValue(name).trim();
    this.colours = { ink: of('--map-ink'), soft: of('--map-soft'), ground: of('--map-ground'), taken: of('--map-taken'), chosen: of('--map-chosen'), tick: of('--map-tick'), stage: of('--map-stage'), ring: of('--map-ring'),
      tint: Number(of('--map-tint')) || 0.3, free: of('--map-free'), price: this.tiers.map((_, i) => of(`--price-${(i % 8) + 1}`)) };
    this.font = style.fontFamily;
    this.update();
  }

  colourOf(tier) { return this.byPrice ? this.colours.price[tier] || this.colours.free : this.colours.free; }

  dimmed(tier) { return Boolean(this.only) && !this.only.has(tier); }

  leftOf(s) { return this.seats.left.sections[s.id] || 0; }

  seatsIn(s) { return this.map.runStart[s.to] - this.map.runStart[s.from]; }

  visible() {
    const [x0, y0] = this.toMap(0, 0);
    const [x1, y1] = this.toMap(this.width, this.height);
    return this.map.sections.filter((s) => s.x1 >= x0 && s.x0 <= x1 && s.y1 >= y0 && s.y0 <= y1);
  }

  /** Writes around a place; what is wider than the most that is given is written narrower. */
  text(words, x, y, size, colour, weight = 600, most = undefined) {
    const { ctx } = this;
    ctx.font = `${weight} ${size}px ${this.font}`;
    ctx.textAlign = 'center';
    ctx.textBaseline = 'middle';
    ctx.fillStyle = colour;
    ctx.fillText(words, x, y, most);
  }

  /** Fills the path with a tier's colour, the fainter the less is left, and draws its edge. */
  fillTint(tier, share) {
    const { ctx, colours } = this;
    const dim = this.dimmed(tier);
    ctx.fillStyle = colours.ground;
    ctx.fill();
    if (share > 0 && !dim) {
      ctx.globalAlpha = colours.tint * (0.45 + 0.55 * share);
      ctx.fillStyle = this.colourOf(tier);
      ctx.fill();
      ctx.globalAlpha = 1;
    }
    ctx.lineWidth = 1;
    ctx.strokeStyle = share > 0 && !dim ? this.colourOf(tier) : colours.taken;
    ctx.stroke();
  }

  /** What is visible of a section, in its own coordinates: x from … to, y from … to. */
  window(s) {
    const [a, b] = [this.toMap(0, 0), this.toMap(this.width, this.height)];
    const corners = [[a[0], a[1]], [b[0], a[1]], [b[0], b[1]], [a[0], b[1]]].map(([x, y]) => toLocal(s, x, y));
    const [xs, ys] = [corners.map((c) => c[0]), corners.map((c) => c[1])];
    return [Math.min(...xs) - 0.5, Math.max(...xs) + 0.5, Math.min(...ys) - 0.5, Math.max(...ys) + 0.5];
  }

  bucket(i) {
    if (!this.buckets[i]) this.buckets[i] = { size: 0, x: new Float32Array(1024), y: new Float32Array(1024), s: new Uint16Array(1024), o: new Uint32Array(1024) };
    return this.buckets[i];
  }

  /** Gathers the seats of some sections, those in sight or all, by how they are drawn. Answers how many. */
  gather(sections, inSight) {
    const { map, seats, chosen } = this;
    for (const b of this.buckets) if (b) b.size = 0;
    let all = 0;
    for (const s of sections) {
      const [x0, x1, y0, y1] = inSight ? this.window(s) : [-Infinity, Infinity, -Infinity, Infinity];
      const free = this.dimmed(s.tier) ? DIMMED : FREE_SEATS + s.tier;
      for (let r = s.from; r < s.to; r++) {
        const y = s.front + map.runY[r];
        if (y < y0 || y > y1) continue;
        const last = Math.min(map.runLength[r] - 1, Math.floor(x1 - map.runX[r]));
        for (let n = Math.max(0, Math.ceil(x0 - map.runX[r])); n <= last; n++) {
          const ordinal = map.runStart[r] + n;
          const is = seats.state(ordinal) !== FREE ? TAKEN : free;
          this.put(chosen.size && chosen.has(ordinal) ? CHOSEN : is, map.runX[r] + n, y, s.index, ordinal);
          if (is === free && seats.flags[ordinal] & (ACCESSIBLE | COMPANION)) this.put(seats.flags[ordinal] & ACCESSIBLE ? RING : CROSS, map.runX[r] + n, y, s.index, ordinal);
          all++;
        }
      }
    }
    return all;
  }

  put(i, x, y, s, ordinal) {
    const b = this.bucket(i);
    if (b.size === b.x.length) for (const key of ['x', 'y', 's', 'o']) { const more = new b[key].constructor(2 * b.size); more.set(b[key]); b[key] = more; }
    b.x[b.size] = x;
    b.y[b.size] = y;
    b.s[b.size] = s;
    b.o[b.size++] = ordinal;
  }

  /** Turns the canvas so that a section's own coordinates can be drawn in. */
  turn(s) {
    const { x, y, scale } = this.camera;
    const k = scale * this.dpr;
    this.ctx.setTransform(k * s.cos, k * s.sin, -k * s.sin, k * s.cos, (this.width / 2 - x * scale) * this.dpr, (this.height / 2 - y * scale) * this.dpr);
  }

  straight() { this.ctx.setTransform(this.dpr, 0, 0, this.dpr, 0, 0); }

  /** Draws what was gathered. turn readies the canvas for a section. */
  paintSeats(ctx, turn, round) {
    const { colours } = this;
    this.buckets.forEach((b, i) => {
      if (!b || !b.size || i === RING || i === CROSS) return;
      const half = i === TAKEN ? 0.16 : 0.38;
      ctx.globalAlpha = i === DIMMED ? 0.22 : 1;
      ctx.fillStyle = i === TAKEN ? colours.taken : i === CHOSEN ? colours.chosen : i === DIMMED ? colours.soft : this.colourOf(i - FREE_SEATS);
      this.squares(ctx, b, half, round && i !== TAKEN ? 0.2 : 0, turn);
    });
    ctx.globalAlpha = 1;
    ctx.fillStyle = ctx.strokeStyle = colours.ground; // whatever the tier's colour
    this.signs(ctx, turn);
  }

  /** A ring on accessible seats, a cross on companions': colour alone tells nobody enough. The legend and the list have the same signs. */
  signs(ctx, turn) {
    const each = (b, draw) => { if (b) for (let i = 0; i < b.size; i++) { turn(this.map.sections[b.s[i]]); draw(b.x[i], b.y[i]); } };
    ctx.lineWidth = 0.11;
    each(this.buckets[RING], (x, y) => { ctx.beginPath(); ctx.arc(x, y, 0.19, 0, 2 * Math.PI); ctx.stroke(); });
    each(this.buckets[CROSS], (x, y) => { ctx.fillRect(x - 0.24, y - 0.06, 0.48, 0.12); ctx.fillRect(x - 0.06, y - 0.24, 0.12, 0.48); });
  }

  /** Squares of one colour; square ones are drawn each, which is quicker, round ones in one path. */
  squares(ctx, b, half, round, turn) {
    let section = -1;
    if (round) ctx.beginPath();
    for (let i = 0; i < b.size; i++) {
      if (b.s[i] !== section) { section = b.s[i]; turn(this.map.sections[section]); }
      if (round) ctx.roundRect(b.x[i] - half, b.y[i] - half, 2 * half, 2 * half, round); else ctx.fillRect(b.x[i] - half, b.y[i] - half, 2 * half, 2 * half);
    }
    if (round) ctx.fill();
  }

  /** Draws the seats of the sections in sight. Answers how many were drawn for it. */
  drawSeats(sections) {
    const { scale } = this.camera;
    let drawn = 0;
    if (scale < EACH_FROM) drawn = this.drawPictures(sections);
    else {
      drawn = this.gather(sections, true);
      this.paintSeats(this.ctx, (s) => this.turn(s), scale >= ROUND_FROM);
      this.straight();
      if (scale >= NUMBERS_FROM) for (let i = FREE_SEATS; i < this.buckets.length; i++) if (this.buckets[i]) this.numbers(this.buckets[i]);
    }
    if (this.chosen.size) this.ticks();
    return drawn;
  }

  /** Draws sections by their pictures; those that have none yet get it in this frame or the next ones. */
  drawPictures(sections) {
    const { ctx, camera: { scale } } = this;
    const sharp = SHARP[scale < 8 ? 0 : 1] * this.dpr;
    let fresh = 0;
    let drawn = 0;
    for (const s of sections) {
      let picture = this.pictures.get(s.index);
      if (!picture || picture.stale || picture.sharp !== sharp) {
        if (fresh++ < NEW_PICTURES) { picture = this.picture(s, sharp); drawn += this.seatsIn(s); } else this.queue();
      }
      if (!picture) continue;
      this.pictures.delete(s.index);
      this.pictures.set(s.index, picture);
      this.turn(s);
      ctx.drawImage(picture.canvas, -s.reach - 0.5, s.front - 0.5, 2 * s.reach + 1, s.depth + 1);
      this.straight();
    }
    let pixels = 0;
    for (const [index, { canvas }] of [...this.pictures].reverse()) {
      pixels += canvas.width * canvas.height;
      if (pixels > MOST_PIXELS) this.pictures.delete(index);
    }
    return drawn;
  }

  picture(s, sharp) {
    const canvas = document.createElement('canvas');
    canvas.width = Math.ceil((2 * s.reach + 1) * sharp);
    canvas.height = Math.ceil((s.depth + 1) * sharp);
    const ctx = canvas.getContext('2d');
    this.gather([s], false);
    this.paintSeats(ctx, () => ctx.setTransform(sharp, 0, 0, sharp, (s.reach + 0.5) * sharp, (0.5 - s.front) * sharp), false);
    return { canvas, sharp };
  }

  /** The picture of a seat's section is not as it is any more. */
  stale(ordinal) {
    const picture = this.pictures.get(this.map.runSection[runOf(this.map, ordinal)]);
    if (picture) picture.stale = true;
  }

  /** What is chosen has a tick: colour alone tells nobody enough. */
  ticks() {
    const { ctx, colours, camera: { scale } } = this;
    ctx.beginPath();
    for (const ordinal of this.chosen) {
      const p = seatPlace(this.map, ordinal);
      const [x, y] = this.toScreen(p.x, p.y);
      const k = scale * 0.17;
      ctx.moveTo(x - k, y);
      ctx.lineTo(x - k * 0.25, y + k * 0.8);
      ctx.lineTo(x + k * 1.1, y - k * 0.8);
    }
    ctx.lineWidth = Math.max(1.2, scale * 0.08);
    ctx.strokeStyle = colours.tick;
    ctx.stroke();
  }

  /** The numbers of free seats, from pictures of numbers: there are few, and writing is slow. */
  numbers(b) {
    const { map, seats, ctx, camera: { scale } } = this;
    const size = Math.round(Math.min(13, scale * 0.4) * this.dpr);
    if (!this.glyphs || this.glyphs.size !== size || this.glyphs.colour !== this.colours.ground) this.glyphs = { size, colour: this.colours.ground, of: new Map() };
    for (let i = 0; i < b.size; i++) {
      if (seats.flags[b.o[i]] & (ACCESSIBLE | COMPANION)) continue;
      const [x, y] = this.toScreen(...toWorld(map.sections[b.s[i]], b.x[i], b.y[i]));
      const glyph = this.glyph(seats.number(b.o[i]));
      ctx.drawImage(glyph, Math.round((x * this.dpr - glyph.width / 2)) / this.dpr, Math.round((y * this.dpr - glyph.height / 2)) / this.dpr, glyph.width / this.dpr, glyph.height / this.dpr);
    }
  }

  glyph(n) {
    const { size, colour, of } = this.glyphs;
    if (!of.has(n)) {
      const canvas = document.createElement('canvas');
      canvas.width = Math.ceil(size * 0.7) * String(n).length + 2;
      canvas.height = size + 4;
      const ctx = canvas.getContext('2d');
      Object.assign(ctx, { font: `600 ${size}px ${this.font}`, textAlign: 'center', textBaseline: 'middle', fillStyle: colour });
      ctx.fillText(n, canvas.width / 2, canvas.height / 2 + size * 0.04);
      of.set(n, canvas);
    }
    return of.get(n);
  }

  /** The rows' labels at their ends, and tables' tops. */
  drawRows(sections) {
    const { ctx, colours, map, camera: { scale } } = this;
    if (scale < ROWS_FROM) return;
    const size = Math.min(12, scale * 0.6);
    for (const s of sections) {
      for (const line of s.lines) {
        const half = (line.last - line.first) / 2;
        const y = s.front + map.runY[line.from];
        if (line.table) {
          this.turn(s);
          ctx.beginPath();
          ctx.roundRect(-half - 0.62, y - 0.62, 2 * half + 1.24, 1.24, 0.6);
          this.straight();
          ctx.lineWidth = 1.5;
          ctx.strokeStyle = this.colourOf(s.tier);
          ctx.stroke();
        }
        for (const x of [-half - 1.05, half + 1.05]) {
          const [px, py] = this.toScreen(...toWorld(s, x, y));
          if (px > -9 && px < this.width + 9 && py > -9 && py < this.height + 9) this.text(line.label, px, py, size, colours.soft);
        }
      }
    }
  }
}
