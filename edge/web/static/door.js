// The page on which a browser is asked for something. Without this script it is a form.

import { say } from './page.js';
import { prove } from './challenge.js';

const script = document.getElementById('script');
const { event, kind, token, bits } = script.dataset;

if (kind !== 'captcha') {
  say('One moment …');
  prove(event, { kind, token, bits: Number(bits) }).then((done) => {
    if (done) location.replace(`/e/${encodeURIComponent(event)}`);
    else say('That did not work here. Take another way below.');
  });
}
