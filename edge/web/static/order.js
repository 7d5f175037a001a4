// An order from payment to tickets, and the tickets of this browser.

import { at, event, fact, headline, memory, shop, show, slug, tierName, waitingRoom } from './event.js';
import { keep, kept } from './kept.js';
import { api, card, countdown, el, failureText, jitter, newKey, patiently, pause, say } from './page.js';
import { has, money, said, t, when } from './words.js';

export async function orderPage(id) {
  let shown = '';
  say('');
  for (;;) {
    const { status, data: order } = await patiently('GET', `/v1/orders/${encodeURIComponent(id)}`);
    if (status !== 200) {
      const mine = memory.read().order === id;
      memory.write({ order: undefined });
      if (mine) return waitingRoom();
      return show(card(el('p', { class: 'notice bad', role: 'alert' }, t('order.not_here')), el('div', { class: 'actions' }, el('a', { class: 'button', href: `/account?event=${slug}` }, t('common.sign_in')), el('a', { class: 'button plain', href: location.pathname }, event.name))));
    }
    if (order.state === 'ticket_issued' && !order.linked) return ticketsPage(order);
    memory.write({ order: order.id, hold: undefined }); // wherever this browser was told of it
    if (hasOwnPage(order)) return location.replace(`/e/${encodeURIComponent(slug)}/pay/${encodeURIComponent(order.id)}`);
    const stamp = `${order.state} ${order.payment && order.payment.state} ${order.payment && order.payment.attempt}`;
    if (stamp !== shown) showOrder(order);
    shown = stamp;
    if (isOver(order)) { memory.write({ order: undefined }); return undefined; }
    await pause(jitter(order.payment && order.payment.state === 'created' ? 400 : 1500));
  }
}

/** Takes the link of a mail to an unpaid order: it becomes a cookie, with which this browser may look at that order and pay it. */
export async function resume(id, token) {
  await patiently('POST', `/v1/orders/${encodeURIComponent(id)}/link`, { body: { token } }); // where it is refused the order is not found
}

/** Whether nothing more comes of the order by itself. A payment that came too late may still buy other seats, or is on its way back. */
const isOver = (order) => order.linked && order.state === 'ticket_issued' || ['refunded', 'refund_failed', 'disputed'].includes(order.state) ||
  (['expired', 'cancelled', 'capture_failed'].includes(order.state) && !['voiding', 'captured'].includes((order.payment || {}).state));

/** Whether the order is paid on a page that lets in the provider's form. This page lets in nothing. */
const hasOwnPage = (order) => ['payment_pending', 'payment_failed'].includes(order.state) && ['stripe_elements', 'frame'].includes((order.payment || {}).form);

function showOrder(order) {
  const payment = order.payment || {};
  const parts = [el('h2', {}, has(`order.state_${order.state}`) ? t(`order.state_${order.state}`) : order.state), ...order.lines.map((line) => el('div', { class: 'row' }, el('span', {}, tierName(line.tier), line.seat && el('small', {}, line.seat)),
    el('span', {}, money({ minor: line.face.minor + line.fee.minor + line.tax.minor, currency: line.face.currency })))), el('div', { class: 'row' }, el('strong', {}, t('order.total')), el('strong', {}, money(order.amount)))];
  const byHand = ['payment_pending', 'payment_failed'].includes(order.state) && payment.pay_to; // money that somebody records
  if (['payment_pending', 'payment_failed', 'reserved'].includes(order.state) && !byHand) parts.push(el('p', { class: 'quiet' }, t('order.time_left')), countdown(order));
  if (payment.failure) parts.push(el('p', { class: 'notice bad', role: 'alert' }, failureText(payment.failure)));
  const instructions = ['payment_pending', 'payment_failed'].includes(order.state) && payment.instructions;
  if (byHand) {
    const office = payment.method === 'box_office';
    const to = fact(t('order.to'), payment.pay_to);
    to.className = 'whole';
    parts.push(el('h2', {}, t(office ? 'order.office' : 'order.transfer')), el('dl', { class: 'facts' }, office ? null : to, fact(t('order.reference'), payment.provider_ref.replace(/(.{4})(?=.)/g, '$1 ')),
      fact(t('order.amount'), money(order.amount)), fact(t('order.until'), when(order.deadline, event.time_zone))),
    el('p', { class: 'quiet' }, t(office ? 'order.office_text' : 'order.transfer_text')));
  }
  if (instructions) parts.push(el('div', { class: 'notice' }, String(instructions).split('\n').map((line) => el('p', {}, line))));
  if (order.state === 'payment_pending' && payment.pay_url) {
    const target = new URL(payment.pay_url, location.href);
    if (/^https?:$/.test(target.protocol)) {
      target.searchParams.set('return_url', location.origin + location.pathname);
      parts.push(el('div', { class: 'actions' }, el('a', { class: 'button', href: target.href, rel: 'noreferrer' }, t('order.pay'))));
    }
  } else if (['payment_failed', 'reserved', 'payment_pending'].includes(order.state) && !payment.pay_url && !instructions && !byHand) {
    parts.push(el('div', { class: 'actions' }, el('button', { onclick: async (e) => { e.target.disabled = true; const { data } = await patiently('POST', `/v1/orders/${order.id}/pay`, { body: {}, key: newKey() }); if (data.state) showOrder(data); else say(said(data)); } },
      t(order.state === 'payment_failed' ? 'order.pay_again' : 'order.pay_begin'))));
  }
  if (order.reseated) parts.push(el('p', { class: 'notice' }, t('order.reseated')));
  if (order.linked) parts.push(el('p', { class: 'quiet' }, t('order.linked')));
  else if (isOver(order) && order.state !== 'disputed') parts.push(el('div', { class: 'actions' }, el('button', { onclick: () => shop() }, t('order.choose_again'))));
  show(card(...parts));
}

/** Shows tickets, of an order where it is known, with what their owner can do; and has them kept for when there is no network. */
export async function ticketsPage(order) {
  at('order', 'ticket');
  const ids = order.tickets;
  const [{ ticketCard }, { ownerPanel, soldOf }, ahead, answers] = await Promise.all([import('./ticket.js'), import('./owner.js'), clockAhead(), Promise.all(ids.map((id) => patiently('GET', `/v1/tickets/${encodeURIComponent(id)}`)))]);
  const good = answers.map(({ status, data }) => (status === 200 && data.state !== 'void' ? data : null));
  keep(slug, event, good.filter((ticket) => ticket && ticket.hold !== 'listed'), ids.filter((_, i) => !good[i] || good[i].hold === 'listed'), ahead);
  if (good.some(Boolean)) memory.write(order.id ? { order: order.id } : { ticket: ids[0] });
  else if (!order.id) memory.write({ ticket: undefined });
  const bought = order.id || !good[0] || !good[0].order_id ? order : await api('GET', `/v1/orders/${good[0].order_id}`).then(({ status, data }) => (status === 200 ? data : order)); // who was given a ticket sees no order
  const sold = good.every(Boolean) ? new Map() : await soldOf(ids, event.time_zone);
  const again = () => (order.id ? orderPage(order.id) : ticketsPage(order));
  const refunds = (order.refunds || []).filter((one) => one.state !== 'failed');
  say('');
  show(good.some(Boolean) ? el('p', { class: 'good', role: 'status' }, t('ticket.here')) : '',
    ...refunds.map((one) => el('p', { class: 'notice', role: 'status' }, t('refund.back', { amount: money(one.amount) }))),
    ...good.map((ticket, i) => (ticket ? ticketCard(ticket, tierName(ticket.tier), ahead, ownerPanel(ticket, event, bought, again))
      : card(el('p', { class: 'notice' }, sold.get(ids[i]) || (answers[i].status === 404 ? t('ticket.elsewhere') : said(answers[i].data, 'ticket.void')))))),
    el('div', { class: 'actions' }, el('button', { class: 'plain', onclick: () => { memory.write({ order: undefined, ticket: undefined }); shop(); } }, t('ticket.more'))));
}

/** By how many milliseconds the server's clock is ahead of this one, within a second. */
async function clockAhead() {
  try {
    const asked = Date.now();
    const told = new Date((await fetch('/static/icon.svg', { method: 'HEAD', cache: 'no-store', signal: AbortSignal.timeout(2500) })).headers.get('Date')).getTime();
    return told ? told + 500 - (asked + Date.now()) / 2 : 0;
  } catch { return 0; }
}

/** Shows the tickets that this browser keeps; again() is what to do when there is a network. */
export async function offline(again) {
  const { event: known, tickets, ahead } = kept(slug);
  const { ticketCard } = await import('./ticket.js');
  headline(known);
  say('');
  show(el('p', { class: 'notice', role: 'status' }, t('ticket.offline')), ...Object.values(tickets).map((ticket) => ticketCard(ticket, tierName(ticket.tier), ahead)),
    el('div', { class: 'actions' }, el('button', { class: 'plain', onclick: () => again() }, t('ticket.retry'))));
  window.ononline = () => again();
}
