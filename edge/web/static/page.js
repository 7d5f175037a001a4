// What the scripts of all pages need. What comes from outside is put into a page as text, never as markup.

import { duration, has, more, said, t, wordsOf } from './words.js';

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

/** A random key for one purchase step. A step that is repeated keeps its key, so it is done once only. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
}

/** Calls the interface. Answers {status, data}; a network failure counts as "come back shortly". */
export async function api(method, path, { body, key, headers = {}, cache = 'default' } = {}) {
  const init = { method, headers: { Accept: 'application/json', ...headers }, credentials: 'same-origin', cache };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers['Content-Type'] = 'application/json';
  }
  if (key) init.headers['Idempotency-Key'] = key;
  try {
    const response = await fetch(path, init);
    const data = await response.json().catch(() => ({}));
    if (data.code && !response.ok && !wordsOf(data.code)) await more().catch(() => {}); // without them it is said in English
    return { status: response.status, data, wait: Number(response.headers.get('Retry-After')) || data.retry_after || 0 };
  } catch {
    return { status: 0, data: { code: 'offline', detail: t('common.offline') }, wait: 2 };
  }
}

/** Repeats a call for as long as the answer is an honest "wait". */
export async function patiently(method, path, options) {
  for (;;) {
    const answer = await api(method, path, options);
    if (answer.status !== 0 && answer.status !== 429 && answer.status !== 503) return answer;
    say(said(answer.data, 'common.wait'));
    await pause(jitter(1000 * (answer.wait || 2)));
  }
}

/** Shows the time left by the server's clock, and calls when it is over. Its sync(thing) takes what the server says anew. While a phone
 *  sleeps one of its clocks may stand still: the one that has less left is right. */
export function countdown(thing, over) {
  let end = [];
  const node = el('p', { class: 'big', role: 'timer' });
  node.sync = ({ deadline, server_time: now }) => { const left = new Date(deadline) - new Date(now); end = [performance.now() + left, Date.now() + left]; };
  node.sync(thing);
  node.textContent = duration((new Date(thing.deadline) - new Date(thing.server_time)) / 1000); // it has its size at once
  const tick = () => {
    const left = Math.min(end[0] - performance.now(), end[1] - Date.now()) / 1000;
    node.textContent = duration(left);
    if (left <= 0) { if (over) over(); return; }
    setTimeout(() => node.isConnected && tick(), 250);
  };
  setTimeout(tick, 0);
  return node;
}

/** Why a payment failed, in a sentence: by the provider's code, with or without its detail. */
export function failureText(failure) {
  const [kind, detail] = failure.split('/');
  const name = [detail, kind, kind.replace('invalid_', 'incorrect_')].find((one) => one && has(`failure.${one}`));
  return t(`failure.${name || 'other'}`);
}
