// What is left of an event: where its seats are, which of them are free, and what changes while somebody chooses.

export const FREE = 0;

// What is special about a seat, see flags.
export const ACCESSIBLE = 1;
export const COMPANION = 2;
export const TABLE = 4; // sold with all others of its row

/** Their signs, in lists and legends; the map draws the same. */
export const sign = (flags) => (flags & ACCESSIBLE ? '○' : flags & COMPANION ? '+' : '');

const POLL_MS = 5000; // without a stream
const RETRY_MS = 30000; // until another stream is tried

const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
const jitter = (ms) => ms * (0.85 + 0.3 * Math.random());

/** Loads an event's seats. get(path) answers {status, data}. Answers nothing when there are none to be had. */
export async function loadSeats(slug, get) {
  const path = `/v1/events/${encodeURIComponent(slug)}`;
  for (let tries = 0; tries < 3; tries++) {
    const { status, data } = await get(`${path}/seats`);
    if (status !== 200) return undefined;
    const geometry = await get(`${path}/seats/geometry/${data.geometry}`); // the browser keeps it for ever
    if (geometry.status === 200) return new Seats(path, data, geometry.data, get);
  }
  return undefined; // the event's file changes faster than we read
}

export class Seats {
  constructor(path, data, geometry, get) {
    Object.assign(this, { path, get, hash: data.geometry, sections: [], count: 0 });
    const starts = [];
    for (const { id, tier, position, rows } of geometry.sections) {
      const section = { id, tier, position, start: this.count, rows: [] };
      for (const [label, first, last, extra] of rows) {
        section.rows.push({ label, first, last, extra, start: this.count });
        starts.push({ at: this.count, section: id, label, first, size: last - first + 1 });
        this.count += last - first + 1;
      }
      section.end = this.count;
      this.sections.push(section);
    }
    this.runs = starts;
    this.flags = new Uint8Array(this.count); // by ordinal
    for (const { rows } of this.sections) for (const row of rows) if (row.extra) this.flag(row, row.extra);
    this.reset(data);
  }

  flag({ first, last, start }, { accessible, companions, table }) {
    for (const [numbers, flag] of [[accessible, ACCESSIBLE], [companions, COMPANION]]) for (const n of numbers || []) if (n >= first && n <= last) this.flags[start + n - first] |= flag;
    if (table) for (let n = start; n <= start + last - first; n++) this.flags[n] |= TABLE;
  }

  /** The row in which a seat is. */
  run(ordinal) {
    let [low, high] = [0, this.runs.length];
    while (low + 1 < high) { const mid = (low + high) >> 1; if (this.runs[mid].at <= ordinal) low = mid; else high = mid; }
    return this.runs[low];
  }

  /** The seats of a seat's row. */
  rowOf(ordinal) {
    const { section, label } = this.run(ordinal);
    return this.runs.filter((run) => run.section === section && run.label === label).flatMap((run) => Array.from({ length: run.size }, (_, n) => run.at + n));
  }

  /** A seat's name, such as 101/A/7, and its number in its row. */
  name(ordinal) { const run = this.run(ordinal); return `${run.section}/${run.label}/${this.number(ordinal)}`; }

  /** The seat of a name; -1 when there is none. */
  find(name) {
    const [section, label, number] = name.split('/');
    const run = this.runs.find((one) => one.section === section && one.label === label && number - one.first >= 0 && number - one.first < one.size);
    return run ? run.at + (number - run.first) : -1;
  }

  /** Whether a companion's seat is beside an accessible one of some that are chosen, past other companions'. */
  accompanies(ordinal, chosen) {
    const row = this.rowOf(ordinal);
    return [1, -1].some((step) => {
      let at = row.indexOf(ordinal) + step;
      while (this.flags[row[at]] & COMPANION) at += step;
      return Boolean(this.flags[row[at]] & ACCESSIBLE) && chosen.has(row[at]);
    });
  }

  number(ordinal) { const run = this.run(ordinal); return run.first + ordinal - run.at; }

  reset(data) {
    this.id = data.id;
    this.states = bytes(data.states);
    this.left = { tiers: {}, sections: {} };
    this.recount(data);
  }

  recount(data) {
    for (const kind of ['tiers', 'sections']) for (const one of data[kind] || []) this.left[kind][one.id] = one.left;
  }

  /** The state of a seat; two bits each. */
  state(ordinal) { return (this.states[ordinal >> 2] >> (2 * (ordinal & 3))) & 3; }

  apply(delta) {
    ['free', 'held', 'sold', 'closed'].forEach((kind, state) => {
      for (const n of delta[kind] || []) this.states[n >> 2] = (this.states[n >> 2] & ~(3 << (2 * (n & 3)))) | (state << (2 * (n & 3)));
    });
    this.recount(delta);
  }

  /** Keeps the seats up to date: by a stream where there is one, else by asking. changed(ordinals) is called after each change, with the
   *  seats that are otherwise, or nothing when many are;
   *  moved() when the seats are arranged otherwise and must be loaded anew, phase(name) when the sale's phase is told. */
  follow({ changed, moved, phase }) {
    const tell = (ordinals) => { if (!this.closed) changed(ordinals); };
    const take = (data) => {
      if (data.geometry !== this.hash) { this.close(); moved(); return; }
      this.reset(data);
      tell();
    };
    const open = () => {
      if (this.closed) return;
      clearInterval(this.polling);
      if (typeof EventSource === 'undefined') { poll(); return; }
      this.source = new EventSource(`${this.path}/stream?since=${encodeURIComponent(this.id)}`);
      this.source.addEventListener('snapshot', (e) => take(JSON.parse(e.data)));
      this.source.addEventListener('delta', (e) => { const changes = JSON.parse(e.data); this.apply(changes); this.id = e.lastEventId; tell(['free', 'held', 'sold', 'closed'].flatMap((kind) => changes[kind] || [])); });
      this.source.addEventListener('state', (e) => phase(JSON.parse(e.data).phase));
      // A stream that breaks comes back by itself; one that was refused does not.
      this.source.addEventListener('error', () => { if (this.source.readyState === EventSource.CLOSED) poll(); });
    };
    const poll = () => {
      if (this.closed) return;
      this.polling = setInterval(async () => {
        const { status, data } = await this.get(`${this.path}/seats`);
        if (!this.closed && status === 200 && data.id !== this.id) take(data);
      }, jitter(POLL_MS));
      if (typeof EventSource !== 'undefined') this.retry = setTimeout(open, jitter(RETRY_MS));
    };
    open();
  }

  close() {
    this.closed = true;
    if (this.source) this.source.close();
    clearInterval(this.polling);
    clearTimeout(this.retry);
  }
}
