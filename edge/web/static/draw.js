// The page on which a draw is checked.

import { api, el, say } from './page.js';
import { check, readReceipt } from './transcript.js';
import { number, said, t } from './words.js';

const slug = decodeURIComponent(location.pathname.split('/')[2] || '');
const [form, box, list, result] = ['check', 'receipt', 'checks', 'result'].map((id) => document.getElementById(id));

const memory = (() => { try { return JSON.parse(localStorage.getItem(`fairgate:${slug}`)) || {}; } catch { return {}; } })();
if (!box.value) box.value = (memory.mine && memory.mine.receipt) || memory.earlier || '';

function told(name, ok, values) {
  const kind = ok === undefined ? 'unsaid' : ok ? 'ok' : 'no';
  list.append(el('li', { class: kind }, el('span', {}, t(`draw.${name}`, values)), el('small', {}, t(`draw.is_${kind}`))));
}

form.addEventListener('submit', async (e) => {
  e.preventDefault();
  list.replaceChildren();
  result.replaceChildren();
  const receipt = box.value.trim() ? readReceipt(box.value) : undefined;
  if (receipt === null) { say(t('draw.no_receipt')); return; }
  form.parentElement.classList.add('checking'); // there is room for what comes, so that nothing jumps
  const button = form.querySelector('button');
  button.disabled = true;
  say(t('draw.loading'));
  try {
    const from = `/v1/events/${encodeURIComponent(slug)}/transcript`;
    let got = await api('GET', receipt ? `${from}/${receipt.generation}` : from); // the sale that the receipt is of
    if (got.status === 409) got = await api('GET', from);
    const { status, data } = got;
    if (status !== 200) { say(said(data, 'draw.unavailable')); return; }
    if (!data.windows || !data.windows.length) { say(t('draw.not_yet')); return; }
    let good = data.event === slug;
    const where = await check(data, receipt, memory.seen && memory.seen.generation === data.generation ? memory.seen : {}, (name, ok, values) => { if (ok === false) good = false; told(name, ok, values); },
      (share) => say(t('draw.progress', { n: Math.round(100 * share) })));
    say('');
    result.append(el('p', { class: good ? 'notice' : 'notice bad', role: 'alert' }, el('strong', {}, t(good ? 'draw.good' : 'draw.bad'))));
    if (good && where) result.append(el('p', { class: 'big' }, number(where.rank)), el('p', { class: 'quiet' }, t(where.called ? 'draw.place_called' : 'draw.place', { rank: where.rank, all: where.of })));
  } catch {
    say('');
    result.append(el('p', { class: 'notice bad', role: 'alert' }, t('draw.broken')));
  } finally {
    button.disabled = false;
  }
});
