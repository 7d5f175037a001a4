// What the scripts of all pages need. What comes from outside is put into a page as text, never as markup.

export const say = (text) => { document.getElementById('status').textContent = text; };
export const pause = (ms) => new Promise((done) => setTimeout(done, ms));
export const jitter = (ms) => ms * (0.85 + 0.3 * Math.random()); // keeps pages that saw the same news from coming back together

/** Makes an element: properties that start with "on" are listeners, the rest are attributes. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, '');
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child != null).map((child) => (child instanceof Node ? child : String(child))));
  return node;
}

export const card = (...children) => el('section', { class: 'card' }, ...children);
export const number = (n) => new Intl.NumberFormat().format(n);

export function money(m) {
  const format = new Intl.NumberFormat(undefined, { style: 'currency', currency: m.currency });
  return format.format(m.minor / 10 ** format.resolvedOptions().maximumFractionDigits);
}

export function when(text, zone) {
  return new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short', timeZone: zone }).format(new Date(text));
}

export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s >= 3600) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`;
}

/** A random key for one purchase step. A step that is repeated keeps its key, so it is done once only. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
}

/** Calls the interface. Answers {status, data}; a network failure counts as "come back shortly". */
export async function api(method, path, { body, key, headers = {} } = {}) {
  const init = { method, headers: { Accept: 'application/json', ...headers }, credentials: 'same-origin' };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers['Content-Type'] = 'application/json';
  }
  if (key) init.headers['Idempotency-Key'] = key;
  try {
    const response = await fetch(path, init);
    const data = await response.json().catch(() => ({}));
    return { status: response.status, data, wait: Number(response.headers.get('Retry-After')) || data.retry_after || 0 };
  } catch {
    return { status: 0, data: { code: 'offline', detail: 'The network does not answer. Trying again …' }, wait: 2 };
  }
}

/** Repeats a call for as long as the answer is an honest "wait". */
export async function patiently(method, path, options) {
  for (;;) {
    const answer = await api(method, path, options);
    if (answer.status !== 0 && answer.status !== 429 && answer.status !== 503) return answer;
    say(answer.data.detail || 'Please wait …');
    await pause(jitter(1000 * (answer.wait || 2)));
  }
}

/** Shows the time left by the server's clock, and calls when it is over. */
export function countdown(thing, over) {
  const end = performance.now() + (new Date(thing.deadline) - new Date(thing.server_time));
  const node = el('p', { class: 'big', role: 'timer' });
  const tick = () => {
    const left = (end - performance.now()) / 1000;
    node.textContent = duration(left);
    if (left <= 0) { if (over) over(); return; }
    setTimeout(() => node.isConnected && tick(), 250);
  };
  setTimeout(tick, 0);
  return node;
}

/** Why a payment failed, in a sentence. */
export function failureText(failure) {
  const sentences = {
    card_over_limit: 'This card has bought as many tickets as one card may. You were not charged, and the tickets are back on sale. Choose again and pay with another card.',
    card_declined: 'The card was declined.',
    'card_declined/insufficient_funds': 'There is not enough money on the card.',
    expired_card: 'The card has expired.',
    insufficient_funds: 'There is not enough money on the card.',
    incorrect_cvc: 'The security code of the card is wrong.',
    invalid_cvc: 'The security code of the card is wrong.',
    incorrect_number: 'The card number is wrong.',
    invalid_number: 'The card number is wrong.',
    processing_error: 'The card could not be processed just now. Try again in a moment.',
    authentication_required: 'The bank wants to confirm that it is you. Try again and follow its steps.',
    payment_intent_authentication_failure: 'The bank could not confirm that it is you.',
  };
  return sentences[failure] || sentences[failure.split('/')[0]] || 'The payment did not go through.';
}
