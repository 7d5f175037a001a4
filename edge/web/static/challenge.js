// What a browser answers when it is asked to show that it is one. See edge/guard/challenge.

import { api, el } from './page.js';

/** The seed of a challenge, and a number for which the hash begins with so many zero bits. Another thread looks for it. */
function work(text, bits) {
  return new Promise((done, failed) => {
    const worker = new Worker('/static/work.js');
    worker.onmessage = (e) => { worker.terminate(); done(e.data); };
    worker.onerror = (e) => { worker.terminate(); failed(e); };
    worker.postMessage({ text, bits });
  });
}

const box = (style, ...children) => {
  const node = el('div', {}, ...children);
  Object.assign(node.style, { boxSizing: 'content-box', margin: '0', border: '0', padding: '0', minWidth: '0', ...style });
  return node;
};

/** What the browser makes of some boxes: two share the width of a third by their weights, others break into rows. */
function layout(s) {
  const unit = 20 + (s[0] % 50), padding = s[1] % 32, first = 1 + (s[2] % 4), second = 1 + (s[3] % 4);
  const boxes = 5 + (s[4] % 20), perRow = 2 + (s[5] % 5), width = 10 + (s[6] % 10), height = 3 + (s[7] % 8);
  const a = box({ flex: `${first} 1 0px`, paddingLeft: `${padding}px`, height: '1px' }), b = box({ flex: `${second} 1 0px`, height: '1px' });
  const shared = box({ display: 'flex', width: `${padding + (first + second) * unit}px` }, a, b);
  const rows = box({ overflow: 'hidden', width: `${perRow * width + (width >> 1)}px` },
    ...Array.from({ length: boxes }, () => box({ cssFloat: 'left', width: `${width}px`, height: `${height}px` })));
  const all = box({ position: 'absolute', top: '0', left: '-9999px', width: '9000px', visibility: 'hidden' }, shared, rows);
  document.body.append(all);
  const answer = `${a.offsetWidth}.${b.offsetWidth}.${rows.offsetHeight}`;
  all.remove();
  return answer;
}

/** Answers a challenge of an event. True when the browser was cleared; otherwise there is a page with other ways: challenge.page. */
export async function prove(event, challenge) {
  for (let tries = 0; challenge && tries < 6; tries++) {
    let answer;
    try {
      if (challenge.kind === 'check') answer = layout((await work(challenge.token, 0)).seed);
      else if (challenge.kind === 'work') answer = String((await work(challenge.token, challenge.bits)).number);
      else return false;
    } catch { return false; }
    const { status, data } = await api('POST', `/q/${encodeURIComponent(event)}/challenge`, { body: { token: challenge.token, answer } });
    if (status === 200) return true;
    challenge = data.challenge;
  }
  return false;
}
