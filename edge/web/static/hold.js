// What is held for a buyer, for how long, and the way to the payment.

import { event, memory, onLeave, orderPage, shop, show, tierName, waitingRoom } from './event.js';
import { contents } from './choose.js';
import { card, countdown, el, newKey, patiently, say } from './page.js';
import { has, lang, money, said, t } from './words.js';

/** Shows a hold. known is what the server said of it just now. */
export async function holdPage(id, known) {
  const { status, data } = known ? { status: 200, data: known } : await patiently('GET', `/v1/holds/${id}`);
  if (status !== 200 || data.state !== 'active') return over(data, Boolean(known));
  say('');
  const lost = () => holdPage(id); // asks: it is the server that knows
  const wake = async () => { // a phone that slept has lost count: the server has not
    if (document.visibilityState !== 'visible') return;
    const now = await patiently('GET', `/v1/holds/${id}`);
    if (memory.read().hold !== id) return;
    if (now.status !== 200 || now.data.state !== 'active') { over(now.data, false); return; }
    clock.sync(now.data);
  };
  const clock = countdown(data, lost);
  show(el('section', { class: 'card held' }, el('div', {}, el('p', { class: 'quiet' }, t('shop.held')), clock, el('p', { class: 'quiet' }, t('shop.held_text'))), ...data.items.map(itemRow),
    el('div', { class: 'row' }, el('strong', {}, t('common.total')), el('span', { class: 'price' }, el('strong', {}, money(data.amount)), el('small', {}, inside(data))))), checkout(id, data, lost));
  document.addEventListener('visibilitychange', wake);
  onLeave(() => document.removeEventListener('visibilitychange', wake));
  return undefined;
}

/** The hold is no more. Sold: there is an order of it. Otherwise it ran out, or was given back. */
function over(hold, fresh) {
  memory.write({ hold: undefined });
  if (hold.state === 'sold') { const { order } = memory.read(); return order ? orderPage(order) : waitingRoom(); }
  const again = (hold.items || []).map((item) => (item.seats && item.seats.length ? { seats: item.seats } : { tier: item.tier, quantity: item.quantity })).filter((item) => item.seats || item.tier);
  return fresh ? shop() : shop(t('shop.hold_over'), again.length && !hold.items.some((item) => String(item.allocation || '').startsWith('resale/')) ? again : undefined);
}

function itemRow(item) {
  const tier = event.tiers.find((one) => one.id === item.tier);
  const n = item.quantity || (item.seats || []).length;
  return el('div', { class: 'row' }, el('span', {}, `${n} × ${tierName(item.tier)}`, item.seats && item.seats.length ? el('small', {}, item.seats.map((seat) => seat.replaceAll('/', ' · ')).join(', ')) : null),
    tier && !String(item.allocation).startsWith('resale/') ? el('span', {}, money({ minor: n * tier.price.minor, currency: tier.price.currency })) : null);
}

/** What the sum is made of, where it is made of the event's prices. */
function inside(hold) {
  const sum = { face: 0, fee: 0, tax: 0 };
  for (const item of hold.items) {
    const tier = event.tiers.find((one) => one.id === item.tier);
    const n = item.quantity || (item.seats || []).length;
    if (tier) for (const part of Object.keys(sum)) sum[part] += n * tier[part].minor;
  }
  if (sum.face + sum.fee + sum.tax !== hold.amount.minor) return t('shop.all_in'); // a listing, which has its own price
  return contents(Object.fromEntries(Object.entries(sum).map(([part, minor]) => [part, { minor, currency: hold.amount.currency }])));
}

/** Address and way to pay. What is wrong stands beside its field; nothing here is done twice, however often it is asked for. */
function checkout(id, hold, lost) {
  const wrong = el('p', { id: 'email-wrong', class: 'wrong', hidden: true });
  const mail = el('input', { id: 'email', type: 'email', autocomplete: 'email', inputmode: 'email', 'aria-describedby': 'email-why email-wrong' });
  const go = el('button', {}, t('shop.pay', { amount: money(hold.amount) }));
  const problem = el('p', { class: 'notice bad', role: 'alert', hidden: true });
  const blame = (text) => { wrong.hidden = !text; wrong.textContent = text; mail.setAttribute('aria-invalid', String(Boolean(text))); if (text) mail.focus(); };
  const tell = (text) => { problem.hidden = !text; problem.textContent = text; };
  const form = el('form', { novalidate: true, onsubmit: async (e) => {
    e.preventDefault();
    if (go.disabled) return;
    blame('');
    tell('');
    if (mail.value && !mail.checkValidity()) { blame(t('shop.email_wrong')); return; }
    go.disabled = true;
    go.setAttribute('aria-busy', 'true');
    const way = form.querySelector('input[name="method"]:checked');
    const { status, data } = await patiently('POST', '/v1/orders', { body: { hold_id: id, email: mail.value, language: lang, method: way ? way.value : undefined }, key: memory.read().orderKey || id });
    if (status === 201 || status === 200) { memory.write({ order: data.id, hold: undefined }); await orderPage(data.id); return; }
    const { order } = memory.read();
    if (data.code === 'order_exists' && order) { await orderPage(order); return; } // another tab was quicker
    if (status === 410 || status === 404) { lost(); return; }
    if (data.code === 'idempotency_key_reused') memory.write({ orderKey: newKey() }); // another address than the first time
    go.disabled = false;
    go.removeAttribute('aria-busy');
    if (data.code === 'email_invalid') blame(said(data)); else tell(said(data));
  } }, el('h2', {}, t('shop.checkout')), el('label', { for: 'email' }, t('shop.email')), el('p', { id: 'email-why', class: 'quiet' }, t('shop.email_why')), mail, wrong, methods(), problem,
  el('div', { class: 'actions' }, go, el('button', { class: 'plain', type: 'button', onclick: async () => { await patiently('DELETE', `/v1/holds/${id}`); memory.write({ hold: undefined }); await shop(); } }, t('shop.give_back'))));
  return card(form);
}

/** The ways to pay, where there is a choice; the first is for who makes none. */
function methods() {
  const offered = event.payment_methods || [];
  if (offered.length < 2) return null;
  return el('fieldset', { class: 'methods' }, el('legend', {}, t('shop.methods')), offered.map((method, i) =>
    el('label', {}, el('input', { type: 'radio', name: 'method', value: method, checked: i === 0 }), ` ${has(`method.${method}`) ? t(`method.${method}`) : method}`)));
}
