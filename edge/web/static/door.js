// The page on which a browser is asked for something. Without this script it is a form.

import { say } from './page.js';
import { t } from './words.js';
import { prove } from './challenge.js';

const script = document.getElementById('script');
const { event, kind, token, bits } = script.dataset;

if (kind !== 'captcha') {
  say(t('common.moment'));
  prove(event, { kind, token, bits: Number(bits) }).then((done) => {
    if (done) location.replace(`/e/${encodeURIComponent(event)}`);
    else say(t('door.work_failed'));
  });
}
