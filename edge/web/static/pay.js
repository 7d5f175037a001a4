// The page on which an order is paid. Its Content-Security-Policy lets in the form of this order's payment provider and nothing
// else; the card goes from that form to the provider and never comes here.

import { api, countdown, el, failureText, jitter, pause, say } from './page.js';
import { said, t } from './words.js';

const box = document.getElementById('form');
const { order: id, event: slug, kind, attempt, url, key, secret } = box.dataset;
const back = `/e/${encodeURIComponent(slug)}?order=${encodeURIComponent(id)}`; // whatever the browser remembers
const SILENCE = 6000; // milliseconds without a word from the provider's frame until its page is offered
let wake = () => {}; // ends the pause before the order is looked at again
let patience = ''; // of those who have just paid: asks for an answer when there is news

const problem = (text) => {
  const node = document.getElementById('problem');
  node.hidden = !text;
  if (node.textContent !== text) node.textContent = text; // or it would be read out again
};

/** The provider's page in a frame. What it says is only a reason to look at the order: it is core that knows. */
function frame() {
  const target = new URL(url);
  target.searchParams.set('embed', '1');
  target.searchParams.set('parent', location.origin);
  const inner = el('iframe', { src: target.href, title: t('pay.frame'), class: 'provider', sandbox: 'allow-forms allow-scripts allow-same-origin', referrerpolicy: 'no-referrer' });
  const other = el('div', { hidden: true, id: 'other' }, el('p', {}, t('pay.blocked')), el('p', { class: 'actions' }, el('a', { class: 'button', href: url, target: '_blank', rel: 'noreferrer' }, t('pay.go'))));
  const silent = setTimeout(() => { other.hidden = false; }, SILENCE); // a frame that was blocked loads as well, but says nothing
  addEventListener('message', (e) => {
    if (e.source !== inner.contentWindow || e.origin !== target.origin) return;
    clearTimeout(silent);
    other.hidden = true;
    const { height } = e.data || {};
    if (Number.isFinite(height)) inner.style.height = `${Math.min(Math.max(height, 200), 1400)}px`;
    patience = '?wait=3s';
    wake();
  });
  box.replaceChildren(inner, other);
}

/** Stripe's own form. Its script comes from Stripe, as its terms and the card schemes' want it, and only on this page. */
async function elements() {
  await new Promise((done, failed) => document.head.append(el('script', { src: 'https://js.stripe.com/v3/', onload: done, onerror: failed })));
  const stripe = window.Stripe(key);
  const { paymentIntent } = await stripe.retrievePaymentIntent(secret);
  if (paymentIntent && ['processing', 'requires_capture', 'succeeded'].includes(paymentIntent.status)) return paid();
  const fields = stripe.elements({ clientSecret: secret });
  const mount = el('div');
  const go = el('button', {}, t('pay.go'));
  box.replaceChildren(el('form', { onsubmit: async (e) => {
    e.preventDefault();
    if (go.disabled) return undefined;
    go.disabled = true;
    problem('');
    const { error } = await stripe.confirmPayment({ elements: fields, redirect: 'if_required', confirmParams: { return_url: location.origin + location.pathname } });
    if (!error || (error.payment_intent && error.payment_intent.status === 'requires_capture')) return paid();
    problem(error.message || t('failure.other'));
    go.disabled = false;
    return undefined;
  } }, mount, el('div', { class: 'actions' }, go)));
  fields.create('payment').mount(mount);
  return undefined;
}

function paid() {
  box.replaceChildren(el('p', { class: 'good' }, t('pay.paid')));
  patience = '?wait=3s';
  wake();
}

const clock = countdown({ deadline: box.dataset.deadline, server_time: box.dataset.now }, () => wake());

/** Follows the order until there is nothing more to pay; then the event's page shows what became of it. */
async function follow() {
  let failure = '';
  for (;;) {
    const { status, data, wait } = await api('GET', `/v1/orders/${id}${patience}`);
    if (kind === 'frame') patience = ''; // nobody knows what was done in there
    if (status === 0 || status === 429 || status === 503) {
      say(said(data, 'common.wait'));
      await pause(jitter(1000 * (wait || 2)));
      continue;
    }
    const payment = data.payment || {};
    if (status !== 200 || payment.form !== kind || !['payment_pending', 'payment_failed'].includes(data.state)) return location.replace(back);
    if (String(payment.attempt) !== attempt) return location.reload(); // the intent of this form is dead, there is another
    say('');
    clock.sync(data);
    if ((payment.failure || '') !== failure) {
      failure = payment.failure || '';
      problem(failure && t('pay.still_held', { failure: failureText(failure) }));
    }
    await Promise.race([pause(jitter(1500)), new Promise((done) => { wake = done; })]);
  }
}

if (location.search) history.replaceState(null, '', location.pathname); // what the bank's page added
document.getElementById('left').replaceWith(clock);
document.addEventListener('visibilitychange', () => wake());
if (kind === 'frame') frame();
else if (kind === 'stripe_elements') elements().catch(() => problem(t('pay.not_loaded')));
follow();
