// The seats of an event as a list: sections, in them rows, in those seats as buttons. For who hears the page, or would rather not use a map;
// it can do all that the map can.

import { el } from './page.js';
import { ACCESSIBLE, COMPANION, FREE, sign } from './seats.js';
import { money, t } from './words.js';

export class SeatList {
  /** As SeatMap: seats, tiers, chosen and onSeat. Rows and seats are made when they are opened. */
  constructor({ seats, tiers, chosen, onSeat }) {
    Object.assign(this, { seats, tiers, chosen, onSeat });
    this.only = null;
    this.open = new Map(); // section → its opened rows: row → buttons by ordinal
    this.parts = seats.sections.map((section) => this.sectionPart(section));
    this.none = el('p', { class: 'quiet', hidden: true }, t('shop.none_such'));
    this.node = el('div', { class: 'seatlist' }, this.parts.map((part) => part.node), this.none);
    this.update();
  }

  sectionPart(section) {
    const tier = this.tiers.find((one) => one.id === section.tier) || { name: section.tier };
    const note = el('small');
    const box = el('div', { class: 'seatrows' });
    const node = el('details', { ontoggle: () => { if (node.open && !box.firstChild) box.append(...this.rowsOf(section, tier)); this.update(); } },
      el('summary', {}, el('span', {}, el('b', {}, t('map.section', { section: section.id })), ' ', el('small', {}, tier.name)), el('span', { class: 'end' }, tier.price ? money(tier.price) : '', note)), box);
    return { section, node, note };
  }

  /** The rows of a section; two runs of one label are one row. */
  rowsOf(section, tier) {
    const rows = new Map();
    for (const run of section.rows) rows.set(run.label, [...(rows.get(run.label) || []), run]);
    this.open.set(section, []);
    return [...rows].map(([label, runs]) => {
      const note = el('small');
      const box = el('div', { class: 'seatgrid', role: 'group', 'aria-label': t('map.row', { section: section.id, row: label }) });
      const row = { runs, note, buttons: new Map() };
      this.open.get(section).push(row);
      const table = Boolean(runs[0].extra && runs[0].extra.table);
      const node = el('details', { ontoggle: () => { if (node.open && !box.firstChild) { for (const run of runs) for (let n = run.start; n <= run.start + run.last - run.first; n++) box.append(this.button(row, n, tier)); } this.update(); } },
        el('summary', {}, el('span', {}, t(table ? 'shop.table' : 'shop.row', { row: label })), note), box);
      return node;
    });
  }

  button(row, ordinal, tier) {
    const flags = this.seats.flags[ordinal];
    const special = [flags & ACCESSIBLE && t('map.accessible'), flags & COMPANION && t('map.companion')].filter(Boolean);
    const number = this.seats.number(ordinal);
    const name = [t('shop.seat', { seat: String(number) }), tier.price ? money(tier.price) : '', ...special].filter(Boolean).join(', ');
    const node = el('button', { type: 'button', class: special.length ? 'seat special' : 'seat', 'aria-label': name, title: name, onclick: () => this.onSeat(ordinal) }, number, sign(flags) && el('i', { class: 'sign' }, sign(flags)));
    row.buttons.set(ordinal, node);
    return node;
  }

  /** Shows only sections of some tiers, by their ids; null for all. */
  filter(ids) {
    this.only = ids && ids.size ? ids : null;
    this.update();
  }

  free(runs) {
    let n = 0;
    for (const { start, first, last } of runs) for (let at = start; at <= start + last - first; at++) if (this.seats.state(at) === FREE) n++;
    return n;
  }

  /** Shows how everything stands that is open. */
  update() {
    let shown = 0;
    for (const { section, node, note } of this.parts) {
      node.hidden = Boolean(this.only) && !this.only.has(section.tier);
      if (!node.hidden) shown++;
      const left = this.seats.left.sections[section.id] || 0;
      write(note, left ? t('common.left', { n: left }) : t('common.none_left'));
      if (!node.open) continue;
      for (const row of this.open.get(section) || []) {
        const free = this.free(row.runs);
        write(row.note, free ? t('common.left', { n: free }) : t('common.none_left'));
        for (const [ordinal, button] of row.buttons) {
          const mine = this.chosen.has(ordinal);
          button.disabled = !mine && this.seats.state(ordinal) !== FREE;
          button.setAttribute('aria-pressed', String(mine));
        }
      }
    }
    this.none.hidden = shown > 0;
  }
}

function write(node, text) { if (node.textContent !== text) node.textContent = text; }
