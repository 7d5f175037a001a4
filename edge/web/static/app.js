// The page of an event: finds out where this browser stands with it, and goes there. Everything that comes from outside is put into the page
// as text, never as markup.

import { headline, holdPage, memory, offline, orderPage, path, receivePage, resume, show, slug, ticketsPage, waitingRoom } from './event.js';
import { kept } from './kept.js';
import { api, el, patiently, pause, say } from './page.js';
import { said } from './words.js';

async function eventPage() {
  window.ononline = null;
  const query = new URLSearchParams(location.search);
  const [asked, one, given] = [query.get('order'), query.get('ticket'), query.get('transfer')]; // by a link in a mail, and on the account's page
  const link = asked && location.hash.startsWith('#link=') && location.hash.slice(6); // of a mail about an unpaid order; no server sees what stands behind the #
  if (location.search || location.hash || history.state) history.replaceState(null, '', location.pathname); // that, and what the payment page added
  const { status, data } = await theEvent();
  if (status === 0) return offline(eventPage);
  if (status !== 200) return show(el('p', { class: 'notice bad' }, said(data, 'event.unknown')));
  headline(data);
  say('');
  if (link) await resume(asked, link);
  const { order, hold, ticket, transfer } = memory.read();
  if (given || (transfer && !one && !asked)) return receivePage(given || transfer);
  if (one) return ticketsPage({ tickets: [one] });
  if (asked || order) return orderPage(asked || order); // an earlier one may be remembered here
  if (hold) return holdPage(hold);
  if (ticket) return ticketsPage({ tickets: [ticket] });
  return waitingRoom();
}

/** The event; status 0 where the network does not answer and there are tickets to be shown without. */
function theEvent() {
  if (!kept(slug)) return patiently('GET', path);
  return Promise.race([api('GET', path, { cache: 'no-cache' }).then((answer) => (answer.status === 429 || answer.status >= 500 ? { status: 0 } : answer)), pause(3000).then(() => ({ status: 0 }))]);
}

eventPage();
