// Draws again from a published transcript, and compares. The bytes are those of edge/lottery (chain.go, merkle.go, draw.go, receipt.go); of
// the server nothing is believed but what it has published.

const text = (s) => new TextEncoder().encode(s);
const u32 = (n) => new Uint8Array([n >>> 24, n >>> 16, n >>> 8, n]);
const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
const fromHex = (s) => Uint8Array.from((s || '').match(/../g) || [], (pair) => parseInt(pair, 16));
const NAMESPACE = fromHex('6f1d3a529c0b4e578b1e2f6a8d40c7e3');
const LEAF = 18; // bytes: entrant 16, band, reason
const AT_ONCE = 4096; // hashes that are asked for at a time
const RECEIPT = 63; // bytes before the signature
const MAX_CHAIN = 1 << 16;

function joined(...parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { all.set(part, at); at += part.length; }
  return all;
}

const sha = async (bytes) => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));

async function eventID(slug) {
  const id = new Uint8Array(await crypto.subtle.digest('SHA-1', joined(NAMESPACE, text(slug)))).slice(0, 16);
  id[6] = (id[6] & 15) | 0x50;
  id[8] = (id[8] & 63) | 0x80;
  return id;
}

/** Calls work with every number below n, many at once, and tells how far it is. */
async function each(n, work, tell) {
  const results = new Array(n);
  for (let from = 0; from < n; from += AT_ONCE) {
    const to = Math.min(n, from + AT_ONCE);
    await Promise.all(Array.from({ length: to - from }, async (_, i) => { results[from + i] = await work(from + i); }));
    tell(to - from);
  }
  return results;
}

function leavesOf(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  if (bytes.length % LEAF) throw new Error('leaves');
  return Array.from({ length: bytes.length / LEAF }, (_, i) => bytes.subarray(i * LEAF, (i + 1) * LEAF));
}

async function rootOf(leaves, tell) {
  const ordered = leaves.map((leaf) => [hex(leaf), leaf]).sort((a, b) => (a[0] < b[0] ? -1 : 1));
  if (!ordered.length) return hex(await sha(text('fairgate-empty-v1')));
  const [leafTag, nodeTag] = [text('fairgate-leaf-v1'), text('fairgate-node-v1')];
  let level = await each(ordered.length, (i) => sha(joined(leafTag, ordered[i][1])), tell);
  while (level.length > 1) {
    const below = level;
    level = await each(below.length >> 1, (i) => sha(joined(nodeTag, below[2 * i], below[2 * i + 1])), tell);
    if (below.length % 2) level.push(below[below.length - 1]);
  }
  return hex(level[0]);
}

/** An instant that sorts, with all decimals that were written. */
function instant(s) {
  const fraction = (/\.(\d+)/.exec(s) || [])[1] || '';
  return `${String(Date.parse(s.replace(/\.\d+/, '')) / 1000).padStart(12, '0')}.${fraction.padEnd(9, '0')}`;
}

const place = (p) => `${String(p.window).padStart(10, '0')} ${String(p.band).padStart(3, '0')} ${p.value}`; // which sorts as places go

/** A receipt's fields, or null where it is none. */
export function readReceipt(encoded) {
  let b;
  try { b = Uint8Array.from(atob(encoded.trim().replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0)); } catch { return null; }
  if (b.length !== RECEIPT + 64 || b[0] !== 1) return null;
  const view = new DataView(b.buffer);
  return { bytes: b, key: view.getUint32(1), event: hex(b.subarray(5, 21)), entrant: hex(b.subarray(21, 37)), generation: view.getUint32(37), window: view.getUint32(41), band: b[45], reason: b[46] };
}

/** Checks a transcript and, if there is one, a receipt. told(name, ok, values) is called for each check, ok undefined where it could not be
 *  made; progress(share) while it goes on. seen is what this browser saw of this sale while it waited: the commitment, and roots by window; or nothing. Answers where the
 *  receipt's entrant is: {rank, of, called}, if anywhere. */
export async function check(transcript, receipt, seen, told, progress) {
  const event = await eventID(transcript.event);
  const windows = [...transcript.windows].sort((a, b) => a.window - b.window);
  const leaves = windows.map((w) => leavesOf(w.leaves));
  const count = leaves.reduce((sum, one) => sum + one.length, 0);
  let done = 0;
  const tell = (n) => { done += n; progress(done / (3 * count + 1)); };

  await commitment(transcript, event, windows, told);
  let [rootsOk, seedsOk, once] = [true, true, true];
  const pool = new Map(); // entrant → {place, band, reason, window}
  for (const [i, w] of windows.entries()) {
    const root = await rootOf(leaves[i], tell);
    if (root !== w.root || w.entrants !== leaves[i].length) rootsOk = false;
    const seed = hex(await sha(joined(text('fairgate-draw-v1'), event, u32(w.window), fromHex(w.secret), fromHex(w.root), fromHex(w.beacon))));
    if (seed !== w.seed) seedsOk = false;
    const key = await crypto.subtle.importKey('raw', fromHex(seed), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
    const values = await each(leaves[i].length, async (n) => hex(new Uint8Array(await crypto.subtle.sign('HMAC', key, leaves[i][n].subarray(0, 16))).subarray(0, 8)), tell);
    leaves[i].forEach((leaf, n) => {
      const entrant = hex(leaf.subarray(0, 16));
      if (pool.has(entrant)) once = false;
      else pool.set(entrant, { place: place({ window: w.window, band: leaf[16], value: values[n] }), window: w.window, band: leaf[16], reason: leaf[17] });
    });
  }
  told('roots', rootsOk && once, { n: count });
  unchanged(transcript, windows, seen, told);
  told('seeds', seedsOk, { n: windows.length });
  order(transcript, pool, told);
  progress(1);
  return receipt ? ofReceipt(transcript, event, windows, pool, receipt, told) : undefined;
}

/** Whether what was published is what this browser saw of it. A window whose root was seen may have come to its seed since, or not yet. */
function unchanged(transcript, windows, seen, told) {
  const roots = Object.entries(seen.roots || {});
  const same = roots.every(([window, root]) => (windows[window] ? windows[window].root === root : window >= windows.length));
  told('seen', seen.commitment ? seen.commitment === transcript.commitment && same : undefined, { n: roots.length });
}

/** The chain of secrets, from the commitment on. */
async function commitment(transcript, event, windows, told) {
  let [good, at, ok] = [transcript.commitment, -1, windows.length > 0 && transcript.chain_length <= MAX_CHAIN];
  for (const [i, w] of windows.entries()) {
    if (w.window !== i || w.window >= transcript.chain_length) { ok = false; break; }
    let secret = fromHex(w.secret);
    for (let n = w.window; n > at; n--) secret = await sha(joined(text('fairgate-chain-v1'), event, u32(n), secret));
    if (at < 0 && transcript.beacon_name) secret = await sha(joined(text('fairgate-beacon-v1'), secret, text(transcript.beacon_name)));
    if (hex(secret) !== good) { ok = false; break; }
    [good, at] = [w.secret, w.window];
  }
  told('commitment', ok, { n: windows.length });
}

/** Whether everybody was let in at the place they drew, and not before the cursor had come to it. */
function order(transcript, pool, told) {
  const moves = (transcript.cursors || []).map((c) => ({ at: instant(c.at), place: place(c) }));
  let ok = moves.every((move, i) => i === 0 || (move.place >= moves[i - 1].place && move.at >= moves[i - 1].at));
  const seen = new Set();
  for (const s of transcript.sessions || []) {
    const drawn = pool.get(s.entrant);
    const at = instant(s.issued_at);
    let n = moves.length;
    while (n > 0 && moves[n - 1].at > at) n--;
    if (!drawn || seen.has(s.entrant) || drawn.place !== place(s) || n === 0 || drawn.place > moves[n - 1].place) ok = false;
    seen.add(s.entrant);
  }
  told('order', ok, { n: (transcript.sessions || []).length });
}

async function ofReceipt(transcript, event, windows, pool, receipt, told) {
  told('signature', await signed(transcript, receipt), {});
  const own = receipt.event === hex(event) && receipt.generation === transcript.generation;
  const drawn = pool.get(receipt.entrant);
  if (own && !drawn && !windows.some((w) => w.window >= receipt.window)) { // it is not sealed yet
    told('included', undefined, {});
    return undefined;
  }
  told('included', Boolean(own && drawn && drawn.window === receipt.window && drawn.band === receipt.band && drawn.reason === receipt.reason), {});
  if (!own || !drawn) return undefined;
  let rank = 1;
  for (const other of pool.values()) if (other.place < drawn.place) rank++;
  const last = (transcript.cursors || []).at(-1);
  return { rank, of: pool.size, called: Boolean(last) && drawn.place <= place(last) };
}

/** Whether the receipt is core's; undefined where this browser cannot tell. */
async function signed(transcript, receipt) {
  const key = (transcript.receipt_keys || []).find((one) => one.no === receipt.key);
  if (!key) return false;
  try {
    const publicKey = await crypto.subtle.importKey('raw', fromHex(key.public), { name: 'Ed25519' }, false, ['verify']);
    return await crypto.subtle.verify({ name: 'Ed25519' }, publicKey, receipt.bytes.subarray(RECEIPT), joined(text('fairgate-receipt-v1'), receipt.bytes.subarray(0, RECEIPT)));
  } catch { return undefined; } // an old browser
}
