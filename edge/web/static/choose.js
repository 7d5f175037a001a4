// Parts of choosing tickets (shop.js): places to stand, the prices to filter by, the best seats together, and listings of other buyers.

import { event, path, tierName } from './event.js';
import { api, el, jitter } from './page.js';
import { ACCESSIBLE, COMPANION, sign } from './seats.js';
import { has, money, said, t, when } from './words.js';

const ALLOW = { neighbours: 'shop.allow_neighbours', split: 'shop.allow_split', orphans: 'shop.allow_orphans' }; // what a buyer may put up with
const LOOK_MS = 12_000; // from one look at the listings to the next

/** What a price is made of, in a line. */
export function contents({ face, fee, tax }) {
  return [t('shop.part_face', { amount: money(face) }), fee.minor ? t('shop.part_fee', { amount: money(fee) }) : '', tax.minor ? t('shop.part_tax', { amount: money(tax) }) : ''].filter(Boolean).join(' + ');
}

/** Why a hold was refused, and for a limit that others may share, what helps. */
export function refusal(problem) {
  const advice = `shop.${problem.code}`;
  const relax = problem.code === 'none_adjacent' && (problem.relax || []).map((word) => (ALLOW[word] ? t(ALLOW[word]) : word)).join(', ');
  return [said(problem), has(advice) && t(advice), relax && t('shop.relax', { what: relax })].filter(Boolean).join(' ');
}

/** Places that are sold by number: a card with a choice for each tier, and how many are chosen. changed(tier, n) is called when that changes. */
export function placesOf(tiers, most, stock, counts, changed) {
  const rows = tiers.map((tier) => {
    const note = el('small');
    const pick = el('select', { id: `tier-${tier.id}`, onchange: (e) => changed(tier, Number(e.target.value)) }, Array.from({ length: most + 1 }, (_, n) => el('option', { value: n, selected: n === (counts[tier.id] || 0) }, n)));
    const update = () => {
      const n = stock(tier);
      const text = n > 0 ? t('common.left', { n }) : t('common.none_left');
      if (note.textContent !== text) note.textContent = text;
      for (const option of pick.options) option.disabled = Number(option.value) > n && !option.selected;
    };
    return { tier, pick, update, node: el('div', { class: 'row place' }, el('label', { for: `tier-${tier.id}` }, tier.name, note), el('span', { class: 'price' }, el('strong', {}, money(tier.price)), el('small', {}, contents(tier))), pick) };
  });
  return {
    node: rows.length ? el('section', { class: 'card places' }, el('h2', {}, t('shop.places')), ...rows.map((row) => row.node)) : null,
    update() { for (const row of rows) row.update(); },
    focus(tier) { const row = rows.find((one) => one.tier.id === tier.id); if (row) { row.node.scrollIntoView({ block: 'center' }); row.pick.focus(); } },
  };
}

/** The prices of the seated tiers: the map's legend, and by what it is filtered. */
export function keysOf(tiers, filter, colour) {
  const on = new Set();
  const buttons = tiers.map((tier) => {
    const at = event.tiers.indexOf(tier) % 8;
    const button = el('button', { type: 'button', class: 'plain key', 'aria-pressed': 'false', onclick: () => {
      if (!on.delete(tier.id)) on.add(tier.id);
      buttons.forEach((one, i) => one.setAttribute('aria-pressed', String(on.has(tiers[i].id))));
      filter(on);
    } }, el('i', { class: `swatch price-${at + 1}` }), el('span', {}, tier.name, el('small', {}, money(tier.price))));
    return button;
  });
  const box = el('input', { type: 'checkbox', id: 'by-left', onchange: () => colour(!box.checked) });
  const colouring = el('label', { class: 'check', for: 'by-left' }, box, t('shop.by_left'));
  const what = el('details', { class: 'contains' }, el('summary', {}, t('shop.contains')), tiers.map((tier) => el('p', {}, el('strong', {}, `${tier.name}: ${money(tier.price)}`), ` = ${contents(tier)}`)));
  return { node: tiers.length > 1 ? el('div', { class: 'keys', role: 'group', 'aria-label': t('shop.filter') }, buttons) : el('p', {}, `${tiers[0].name} · `, el('b', {}, money(tiers[0].price))), colouring, what };
}

/** What the signs on seats mean, and who may take a companion's. Nothing where there are none. */
export function signsOf(flags) {
  const kinds = [[ACCESSIBLE, 'map.accessible'], [COMPANION, 'map.companion']].filter(([kind]) => flags.some((one) => one & kind));
  return kinds.length ? el('p', { class: 'signs' }, kinds.map(([kind, word]) => el('span', {}, el('i', { class: 'sign', 'aria-hidden': 'true' }, sign(kind)), ` ${t(word)} `)), kinds.some(([kind]) => kind === COMPANION) ? el('small', {}, companionRule()) : null) : null;
}

/** Who may take a companion's seat, in a sentence; nothing where anybody may. */
export function companionRule() {
  const from = event.rules && event.rules.companions && event.rules.companions.free_from;
  if (from && new Date(from) <= Date.now()) return '';
  return [t('shop.companions'), from && t('shop.companions_free', { when: when(from, event.time_zone) })].filter(Boolean).join(' ');
}

/** Asks for the best seats together. find(best) is called with what is asked for. */
export function bestForm(tiers, sections, most, find) {
  const field = (id, label, node) => el('p', {}, el('label', { for: id }, label), node);
  const count = (id, from, to) => el('select', { id }, Array.from({ length: to - from + 1 }, (_, n) => el('option', { value: n + from }, n + from)));
  const [many, special, beside] = [count('best-many', 1, most), count('best-accessible', 0, most), count('best-companions', 0, most)];
  many.value = String(Math.min(2, most));
  const where = el('select', { id: 'best-where' }, tiers.map((tier) => el('option', { value: `tier/${tier.id}` }, `${tier.name} · ${money(tier.price)}`)),
    sections.filter((one) => tiers.some((tier) => tier.id === one.tier)).map((one) => el('option', { value: `section/${one.id}` }, `${t('map.section', { section: one.id })} · ${tierName(one.tier)}`)));
  const allow = Object.keys(ALLOW).map((word) => {
    const box = el('input', { type: 'checkbox', id: `best-${word}`, value: word });
    return { box, node: el('label', { class: 'check', for: `best-${word}` }, box, t(ALLOW[word])) };
  });
  const form = el('form', { onsubmit: (e) => {
    e.preventDefault();
    const [kind, ...name] = where.value.split('/');
    const allowed = allow.filter(({ box }) => box.checked).map(({ box }) => box.value);
    find({ quantity: Number(many.value), [kind]: name.join('/'), accessible: Number(special.value) || undefined, companions: Number(beside.value) || undefined, allow: allowed.length ? allowed : undefined });
  } }, el('div', { class: 'fields' }, field('best-many', t('shop.best_many'), many), field('best-where', t('shop.best_where'), where)),
  el('details', {}, el('summary', {}, t('shop.best_more')), el('div', { class: 'fields' }, field('best-accessible', t('shop.best_accessible'), special), field('best-companions', t('shop.best_companions'), beside)), allow.map(({ node }) => node)),
  el('div', { class: 'actions' }, el('button', {}, t('shop.best_go'))));
  return el('details', { class: 'best' }, el('summary', {}, t('shop.best')), form);
}

/** What other buyers sell on, the cheapest first. buy(id) is called when one is wanted. follow() looks now and then. */
export function offered(buy) {
  const list = el('div');
  const node = el('section', { class: 'card offers', hidden: true }, el('h2', {}, t('resale.offered')), el('p', { class: 'quiet' }, t('resale.offered_text')), list);
  let timer = 0;
  let shown = '';
  let over = false;
  const look = async () => {
    const { status, data } = await api('GET', `${path}/listings`);
    if (over) return;
    timer = setTimeout(look, jitter(LOOK_MS));
    if (status !== 200 || !data.listings || JSON.stringify(data.listings) === shown) return;
    shown = JSON.stringify(data.listings);
    node.hidden = !data.listings.length;
    list.replaceChildren(...data.listings.map((one) => el('div', { class: 'row' }, el('span', {}, tierName(one.tier), one.seat && el('small', {}, one.seat.replaceAll('/', ' · '))),
      el('span', { class: 'price' }, el('strong', {}, money(one.price)), el('small', {}, contents({ face: one.asked, fee: one.fee, tax: one.tax }))),
      el('button', { class: 'plain', disabled: Boolean(one.held), 'aria-label': t('resale.buy_this', { place: one.seat || tierName(one.tier), price: money(one.price) }), onclick: () => buy(one.id) }, t(one.held ? 'resale.being_bought' : 'resale.buy')))));
  };
  return { node, follow: look, close() { over = true; clearTimeout(timer); } };
}
