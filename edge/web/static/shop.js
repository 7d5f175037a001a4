// Choosing tickets, and the hold on them.

import { event, left, memory, onLeave, orderPage, path, refreshed, show, slug, tierName, waitingRoom } from './event.js';
import { card, countdown, el, newKey, patiently, say } from './page.js';
import { FREE, loadSeats } from './seats.js';
import { has, lang, money, said, t } from './words.js';

export async function shop(problem) {
  const [{ data: fresh }, seats] = await Promise.all([patiently('GET', path), loadSeats(slug, (part) => patiently('GET', part))]);
  refreshed(fresh);
  const most = event.per_buyer || 8;
  const stock = (tier) => { const n = seats && seats.left.tiers[tier.id]; return n === undefined ? tier.left : n; };
  const chosen = { counts: {}, seats: new Set() }; // seats by ordinal
  const total = () => Object.values(chosen.counts).reduce((sum, n) => sum + n, 0) + chosen.seats.size;
  const go = el('button', { disabled: true, onclick: () => hold() }, t('shop.go'));
  const changed = () => { const n = total(); go.disabled = n < 1 || n > most; say(n > most ? t('shop.at_most', { n: most }) : n ? t('shop.chosen', { n }) : ''); };
  const rows = event.tiers.filter((one) => one.kind === 'general').map((tier) => {
    const note = el('small');
    const pick = el('select', { id: `tier-${tier.id}`, onchange: (e) => { chosen.counts[tier.id] = Number(e.target.value); changed(); } },
      Array.from({ length: most + 1 }, (_, n) => el('option', { value: n }, n)));
    const update = () => {
      note.textContent = stock(tier) > 0 ? t('common.left', { n: stock(tier) }) : t('common.none_left');
      for (const option of pick.options) option.disabled = Number(option.value) > stock(tier) && !option.selected;
    };
    update();
    return { update, node: el('div', { class: 'row' }, el('label', { for: `tier-${tier.id}` }, tier.name, note), el('span', {}, `${money(tier.price)} `, pick)) };
  });
  const buttons = new Map(); // ordinal → button, of the sections that were opened
  const sections = (seats ? seats.sections : []).map((section) => {
    const box = el('div', { class: 'seats' });
    const title = el('summary');
    const update = () => { title.textContent = t('shop.section', { section: section.id, n: seats.left.sections[section.id] || 0 }); };
    update();
    return { update, node: el('details', { ontoggle: () => { if (!box.firstChild) box.append(...seatRows(seats, section, chosen, changed, buttons)); } }, title, box) };
  });
  function refresh() {
    for (const part of [...rows, ...sections]) part.update();
    const lost = [...chosen.seats].filter((ordinal) => seats.state(ordinal) !== FREE);
    for (const ordinal of lost) chosen.seats.delete(ordinal);
    for (const [ordinal, button] of buttons) {
      button.disabled = seats.state(ordinal) !== FREE;
      button.setAttribute('aria-pressed', String(chosen.seats.has(ordinal)));
    }
    if (!lost.length) return;
    changed();
    say(t('shop.taken', { seats: lost.map((ordinal) => seats.names[ordinal]).join(', ') }));
  }
  async function hold() {
    go.disabled = true;
    left(); // what is held from here on is ours
    const items = Object.entries(chosen.counts).filter(([, n]) => n > 0).map(([tier, quantity]) => ({ tier, quantity }));
    if (chosen.seats.size) items.push({ seats: [...chosen.seats].map((ordinal) => seats.names[ordinal]) });
    const { status, data } = await patiently('POST', '/v1/holds', { body: { event: slug, items }, key: newKey() });
    if (status === 201) { memory.write({ hold: data.id, orderKey: newKey() }); return holdPage(data.id, data); }
    if (status === 401) return waitingRoom();
    return shop(refusal(data));
  }
  show(problem ? el('p', { class: 'notice bad', role: 'alert' }, problem) : '', card(el('h2', {}, t('shop.choose', { n: most })), ...rows.map((r) => r.node)),
    sections.length ? card(el('h2', {}, t('shop.seats')), ...sections.map((s) => s.node)) : '', el('div', { class: 'actions' }, go, el('button', { class: 'plain', onclick: () => shop() }, t('shop.again'))));
  if (!seats) return;
  onLeave(() => seats.close());
  seats.follow({ changed: refresh, moved: () => shop(t('shop.moved')), phase: (name) => { if (name === 'paused' || name === 'ended') say(t(name === 'paused' ? 'shop.paused' : 'shop.ended')); } });
}

/** Why a hold was refused, and for a limit that others may share, what helps. */
function refusal(problem) {
  const advice = `shop.${problem.code}`;
  return [said(problem), has(advice) && t(advice)].filter(Boolean).join(' ');
}

function seatRows(seats, section, chosen, changed, buttons) {
  const tier = event.tiers.find((one) => one.id === section.tier);
  const price = tier ? money(tier.price) : '';
  return section.rows.map((row) => el('div', { class: 'seatrow' }, el('b', {}, row.label), row.seats.map(({ ordinal, number: name }) => {
    const button = el('button', { type: 'button', class: 'seat', disabled: seats.state(ordinal) !== FREE, 'aria-pressed': String(chosen.seats.has(ordinal)), title: `${seats.names[ordinal]} ${price}`, 'aria-label': t('shop.seat', { row: row.label, seat: String(name), price }),
      onclick: () => { const on = !chosen.seats.delete(ordinal); if (on) chosen.seats.add(ordinal); button.setAttribute('aria-pressed', String(on)); changed(); } }, name);
    buttons.set(ordinal, button);
    return button;
  })));
}

export async function holdPage(id, known) {
  const hold = known || (await patiently('GET', `/v1/holds/${id}`)).data;
  if (hold.state !== 'active') { memory.write({ hold: undefined }); return hold.state === 'sold' ? waitingRoom() : shop(known ? undefined : t('shop.hold_over')); }
  const mail = el('input', { id: 'email', type: 'email', autocomplete: 'email' });
  const lost = () => { memory.write({ hold: undefined }); shop(t('shop.hold_over')); };
  const pay = el('form', { onsubmit: async (e) => {
    e.preventDefault();
    pay.querySelector('button').disabled = true;
    const way = pay.querySelector('input[name="method"]:checked');
    const { status, data } = await patiently('POST', '/v1/orders', { body: { hold_id: id, email: mail.value, language: lang, method: way ? way.value : undefined }, key: memory.read().orderKey || id });
    if (status === 201 || status === 200) { memory.write({ order: data.id, hold: undefined }); return orderPage(data.id); }
    say(said(data));
    if (status === 410 || status === 404) return lost();
    pay.querySelector('button').disabled = false;
  } }, el('label', { for: 'email' }, t('shop.email')), mail, methods(), el('div', { class: 'actions' }, el('button', {}, t('shop.pay', { amount: money(hold.amount) })),
    el('button', { class: 'plain', type: 'button', onclick: async () => { await patiently('DELETE', `/v1/holds/${id}`); memory.write({ hold: undefined }); shop(); } }, t('shop.give_back'))));
  say('');
  show(card(el('p', { class: 'quiet' }, t('shop.held')), countdown(hold, lost),
    ...hold.items.map((item) => el('div', { class: 'row' }, el('span', {}, `${item.quantity || (item.seats || []).length} × ${tierName(item.tier)}`), el('span', {}, (item.seats || []).join(', '))))), card(pay));
}

/** The ways to pay, where there is a choice; the first is for who makes none. */
function methods() {
  const offered = event.payment_methods || [];
  if (offered.length < 2) return null;
  return el('fieldset', { class: 'methods' }, el('legend', {}, t('shop.methods')), offered.map((method, i) =>
    el('label', {}, el('input', { type: 'radio', name: 'method', value: method, checked: i === 0 }), ` ${has(`method.${method}`) ? t(`method.${method}`) : method}`)));
}
