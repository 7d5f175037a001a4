// Unfinished orders on the page of an event and of the account: how long they can still be paid. Without this script the page says how long
// it was when it came.

for (const card of document.querySelectorAll('.unfinished')) {
  const { order, event, left } = card.dataset;
  card.querySelector('a').href = `/e/${event}?order=${order}`; // the page that knows what to do at every stage
  if (left) count(card, performance.now() + 1000 * left, Date.now() + 1000 * left);
}

// While a phone sleeps one of its clocks may stand still: the one that has less left is right.
function count(card, end, until) {
  const seconds = Math.ceil(Math.min(end - performance.now(), until - Date.now()) / 1000);
  card.hidden = seconds <= 0;
  if (card.hidden || !card.isConnected) return;
  card.querySelector('.clock').textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  setTimeout(() => count(card, end, until), 250);
}
