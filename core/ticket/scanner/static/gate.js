// What the page asks of core. Nothing but core's own answer, 200 and with the scan's own id, opens a gate: whatever else comes, from
// a lost network to a hotel's welcome page, is no answer.

// patience is how long an answer may take, in milliseconds.
const patience = 8000;
const mostPending = 50;
const kept = 'fairgate.scanner.pending';

// NoAnswer means that it is unknown whether core got the question. It may be asked again with the same id.
export class NoAnswer extends Error {}

// Refused is core's refusal; problem says why.
export class Refused extends Error {
  constructor(problem) {
    super(problem.code);
    this.problem = problem;
  }
}

// SignedOut means that core does not take the credential, or not any more.
export class SignedOut extends Error {}

// Busy means that core is there and decides nothing for the moment.
export class Busy extends Error {}

// random is a version 4 UUID; crypto.randomUUID needs https, and keyboards do not.
function random() {
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  const hex = Array.from(b, (n) => n.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

// plain is a code without its rotating part.
export function plain(shown) {
  return shown.split('.')[0];
}

// Pending are the scans of which no answer came. Shown again, the same code is the same scan: if core has let it in, it says so again
// instead of "used". They are kept until the tab is closed; of a code only its first 60 characters, which say whose it is and open nothing.
class Pending {
  constructor() {
    try {
      this.ids = new Map(JSON.parse(sessionStorage.getItem(kept)) ?? []);
    } catch {
      this.ids = new Map();
    }
  }

  name(shown, direction) {
    return `${direction} ${plain(shown).slice(0, 60)}`;
  }

  id(shown, direction) {
    const name = this.name(shown, direction);
    const id = this.ids.get(name) ?? random();
    this.ids.delete(name);
    this.ids.set(name, id);
    for (const oldest of [...this.ids.keys()].slice(0, -mostPending)) this.ids.delete(oldest);
    this.save();
    return id;
  }

  done(shown, direction) {
    this.ids.delete(this.name(shown, direction));
    this.save();
  }

  save() {
    sessionStorage.setItem(kept, JSON.stringify([...this.ids]));
  }
}

// Gate speaks to core with a gate's credential.
export class Gate {
  constructor(credential) {
    this.credential = credential;
    this.pending = new Pending();
  }

  async ask(method, path, body) {
    let status;
    let answer;
    try {
      const response = await fetch(`/gate/v1/${path}`, {
        method, cache: 'no-store', credentials: 'omit', redirect: 'error', signal: AbortSignal.timeout(patience),
        headers: { Authorization: `Bearer ${this.credential}`, ...(body && { 'Content-Type': 'application/json' }) },
        body: body && JSON.stringify(body),
      });
      status = response.status;
      answer = await response.json();
    } catch {
      throw new NoAnswer();
    }
    if (status === 200) return answer;
    if (typeof answer?.code !== 'string') throw new NoAnswer();
    if (status === 401) throw new SignedOut();
    if (status === 429) throw new Busy();
    if (status >= 500) throw new NoAnswer();
    throw new Refused(answer);
  }

  // self is which gate this is.
  self() {
    return this.ask('GET', 'gate');
  }

  counts() {
    return this.ask('GET', 'counts');
  }

  async scan(shown, direction) {
    const id = this.pending.id(shown, direction);
    try {
      const answer = await this.ask('POST', 'scans', { id, code: shown, direction });
      if (answer.id !== id) throw new NoAnswer();
      this.pending.done(shown, direction);
      return answer;
    } catch (e) {
      if (e instanceof Refused) this.pending.done(shown, direction);
      throw e;
    }
  }

  undo(scan, reason) {
    return this.ask('POST', `scans/${scan}/undo`, { reason });
  }
}
