// A ticket that somebody offers: accepting or declining it. Who was asked proves that with the address that the mail came to.

import { event, fact, memory, show, slug, ticketsPage, tierName } from './event.js';
import { card, el, patiently, say } from './page.js';
import { has, said, t, when } from './words.js';

/** Shows an offer, until there is nothing more to do about it. */
export async function receivePage(id) {
  const { status, data } = await patiently('GET', `/v1/transfers/${encodeURIComponent(id)}`);
  say('');
  if (status === 401 || status === 404) { // maybe signed in as somebody else
    memory.write({ transfer: id });
    show(card(el('p', { class: 'notice' }, status === 404 ? said(data) : t('transfer.sign_in')), status === 404 ? el('p', {}, t('transfer.sign_in')) : null, el('div', { class: 'actions' }, el('a', { class: 'button', href: `/account?event=${encodeURIComponent(slug)}` }, t('common.sign_in')), other())));
    return;
  }
  if (status !== 200) { show(card(el('p', { class: 'notice bad' }, said(data)), el('div', { class: 'actions' }, other()))); return; }
  memory.write({ transfer: data.state === 'offered' ? id : undefined });
  if (data.state !== 'offered' || !data.from) {
    const key = `transfer.state_${data.state}`;
    show(card(el('p', { class: 'notice' }, has(key) ? t(key) : t('transfer.offered', { to: data.to || '', until: when(data.expires_at, event.time_zone) })), el('div', { class: 'actions' }, other())));
    return;
  }
  const wrong = el('p', { class: 'wrong', role: 'alert', hidden: true });
  const answer = async (how) => {
    for (const button of buttons) button.disabled = true;
    const { status: got, data: after } = await patiently('POST', `/v1/transfers/${encodeURIComponent(id)}/${how}`, { body: {} });
    if (got === 200 && how === 'accept') { memory.write({ transfer: undefined }); await ticketsPage({ tickets: [after.ticket_id] }); return; }
    if (got === 200) { await receivePage(id); return; }
    for (const button of buttons) button.disabled = false;
    wrong.hidden = false;
    wrong.textContent = said(after);
  };
  const buttons = [el('button', { onclick: () => answer('accept') }, t('transfer.accept')), el('button', { class: 'plain', onclick: () => answer('decline') }, t('transfer.decline'))];
  show(card(el('h2', {}, t('transfer.received', { from: data.from })), el('dl', { class: 'facts' }, fact(tierName(data.tier), data.seat ? data.seat.replaceAll('/', ' · ') : '✓')),
    el('p', { class: 'quiet' }, t('transfer.until', { until: when(data.expires_at, event.time_zone) })), wrong, el('div', { class: 'actions' }, buttons)));
}

const other = () => el('a', { class: 'button plain', href: location.pathname, onclick: () => memory.write({ transfer: undefined }) }, t('event.go_on'));
