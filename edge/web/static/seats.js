// What is left of an event: where its seats are, which of them are free, and what changes while somebody chooses.

export const FREE = 0;
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

class Seats {
  constructor(path, data, geometry, get) {
    Object.assign(this, { path, get, hash: data.geometry, sections: [], names: [] });
    for (const section of geometry.sections) {
      const rows = section.rows.map(([label, first, last]) => {
        const row = { label, seats: [] };
        for (let n = first; n <= last; n++) {
          row.seats.push({ ordinal: this.names.length, number: n });
          this.names.push(`${section.id}/${label}/${n}`);
        }
        return row;
      });
      this.sections.push({ id: section.id, tier: section.tier, rows });
    }
    this.reset(data);
  }

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

  /** Keeps the seats up to date: by a stream where there is one, else by asking. changed() is called after each change,
   *  moved() when the seats are arranged otherwise and must be loaded anew, phase(name) when the sale's phase is told. */
  follow({ changed, moved, phase }) {
    const tell = () => { if (!this.closed) changed(); };
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
      this.source.addEventListener('delta', (e) => { this.apply(JSON.parse(e.data)); this.id = e.lastEventId; tell(); });
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
