// Who signs out takes the tickets along that this browser keeps for when there is no network. Without this script none are kept.

import { forget } from './kept.js';

const out = document.getElementById('out');
let done = false;
if (out) {
  out.addEventListener('submit', (e) => {
    if (done) return;
    e.preventDefault();
    forget().catch(() => {}).then(() => { done = true; out.requestSubmit(e.submitter); });
  });
}
