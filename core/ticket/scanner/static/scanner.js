// The page with which a phone is a gate. It decides nothing: core does, on line; see gate.js. Without a network it says OFF LINE and
// opens for nobody.

import { Camera } from './camera.js';
import { Busy, Gate, NoAnswer, Refused, SignedOut, plain } from './gate.js';
import { keepAwake, setMute, signal, unlock } from './signal.js';
import { choose, clock, preferred, say, why } from './words.js';

// The credential lives in the tab and ends with it. A cookie would be sent by the browser whoever asks; this is sent by this page alone.
const kept = 'fairgate.scanner.credential';
const countsEvery = 5000; // milliseconds
const triesEvery = 2000; // while off line
const goneFor = 2000; // a code that was out of the picture for so long, …
const goneLooks = 5; // … and at so many looks, is read again when it comes back
const mostWaiting = 20; // codes that may wait for their answer
const mostShown = 20;

const $ = (id) => document.getElementById(id);
let gate = null;
let where = null;
let offLine = false;
let last = null; // the last scan that opened the gate
let shownAnswer = () => {}; // draws the answer again, in another language
const seen = { text: '', at: 0, misses: 0 };
const waiting = [];
let busy = false;
let beat = 0;

const camera = new Camera($('video'), (text) => {
  if (!text) {
    seen.misses++;
    return;
  }
  const now = performance.now();
  const stayed = plain(text) === seen.text && (now - seen.at < goneFor || seen.misses < goneLooks);
  Object.assign(seen, { text: plain(text), at: now, misses: 0 });
  if (!stayed) take(text);
});

function direction() {
  return document.querySelector('[name="direction"]:checked').value;
}

function showAnswer(verdict, head, reason, place) {
  const draw = () => {
    $('answer').dataset.verdict = verdict;
    $('verdict').textContent = head();
    $('why').textContent = reason();
    $('place').textContent = place();
  };
  draw();
  shownAnswer = draw;
  $('answer').classList.remove('fresh');
  void $('answer').offsetWidth; // so that the same answer twice is seen to be another
  $('answer').classList.add('fresh');
}

const nothing = () => '';
const ready = () => showAnswer('wait', () => say('ready'), () => say(`ready_${direction()}`), nothing);

function setOffLine(on) {
  offLine = on;
  $('off-line').hidden = !on;
  $('off-line').textContent = on ? say('off_line') : '';
  $('line-state').hidden = false;
  $('line-state').textContent = say(on ? 'state_off' : 'state_on');
}

function remember(pass, text) {
  const line = document.createElement('li');
  line.textContent = `${clock(Date.now())} ${pass ? '✓' : '✕'} ${text}`;
  $('history').prepend(line);
  while ($('history').children.length > mostShown) $('history').lastChild.remove();
}

// take has a code decided, one after the other.
async function take(shown) {
  shown = shown.trim().toUpperCase();
  if (!shown || !gate) return;
  if (waiting.length >= mostWaiting) {
    showAnswer('undecided', () => say('undecided'), () => say('too_fast'), nothing);
    signal('stop');
    return;
  }
  waiting.push({ shown, way: direction() });
  if (busy) return;
  busy = true;
  while (waiting.length > 0 && gate) await decide(waiting.shift());
  busy = false;
}

async function decide({ shown, way }) {
  try {
    const answer = await gate.scan(shown, way);
    setOffLine(false);
    const place = answer.seat || answer.tier;
    last = { id: answer.id, place };
    $('undo').disabled = false;
    showAnswer('pass', () => `✓ ${say(way === 'in' ? 'pass_in' : 'pass_out')}`, nothing, () => place);
    signal('pass');
    remember(true, place);
  } catch (e) {
    if (e instanceof SignedOut) return signOut('credential_refused');
    if (e instanceof Refused) stopped(e.problem);
    else undecided(e);
  }
  refresh();
}

function stopped(problem) {
  setOffLine(false);
  const first = () => problem.before ? say('first', { gate: problem.before.gate, time: clock(problem.before.at) }) : '';
  showAnswer('stop', () => `✕ ${say('stop')}`, () => why(problem), first);
  signal('stop');
  remember(false, [why(problem), first()].filter(Boolean).join(' '));
}

function undecided(e) {
  if (!(e instanceof Busy)) setOffLine(true);
  showAnswer('undecided', () => `✕ ${say('undecided')}`, () => say(e instanceof Busy ? 'too_fast' : 'undecided_why'), nothing);
  signal('stop');
  remember(false, say('undecided'));
  if (!(e instanceof Busy || e instanceof NoAnswer)) throw e;
}

// refresh reads the counters, which is also how the page finds out whether core is there.
async function refresh() {
  clearTimeout(beat);
  if (!gate) return;
  const asked = gate;
  try {
    const counts = await asked.counts();
    if (asked !== gate) return;
    if (offLine) {
      setOffLine(false);
      seen.text = ''; // who waits in front of the camera is asked about again; what was not decided stays on the screen until then
    }
    const mine = counts.gates[0] ?? { in: 0, out: 0, refused: 0 };
    $('count-in').textContent = mine.in;
    $('count-out').textContent = mine.out;
    $('count-refused').textContent = mine.refused;
    $('count-inside').textContent = counts.zones[0]?.inside ?? 0;
  } catch (e) {
    if (asked !== gate) return;
    if (e instanceof SignedOut) return signOut('credential_refused');
    if (e instanceof NoAnswer) setOffLine(true);
  }
  clearTimeout(beat);
  beat = setTimeout(refresh, offLine ? triesEvery : countsEvery);
}

async function startCamera() {
  $('camera-problem').textContent = '';
  try {
    await camera.start();
  } catch (e) {
    camera.stop();
    $('camera-problem').textContent = say(e.name === 'NotAllowedError' ? 'camera_denied' : e.name === 'SecurityError' ? 'camera_https' : 'camera_none');
  }
  drawCamera();
}

function drawCamera() {
  $('camera').dataset.text = camera.on ? 'camera_off' : 'camera_on';
  $('camera').textContent = say($('camera').dataset.text);
  $('torch').hidden = !camera.hasTorch;
  $('torch').ariaPressed = 'false';
}

function drawWhere() {
  const name = where ? say('where', { gate: where.gate, zone: where.zone || say('venue'), event: where.name }) : say('title');
  $('where').textContent = name;
  document.title = `${name} · Fairgate`;
}

function signOut(problem) {
  sessionStorage.removeItem(kept);
  clearTimeout(beat);
  if (camera.on) camera.stop();
  keepAwake(false);
  [gate, where, last, waiting.length] = [null, null, null, 0];
  $('scanner').hidden = $('line-state').hidden = true;
  $('sign-in').hidden = false;
  $('sign-in-problem').textContent = problem ? say(problem) : '';
  drawWhere();
  $('credential').focus();
}

async function signIn(credential) {
  const candidate = new Gate(credential);
  try {
    where = await candidate.self();
  } catch (e) {
    const known = sessionStorage.getItem(kept) === credential;
    if (!known || e instanceof SignedOut) return signOut(e instanceof SignedOut ? 'credential_refused' : 'no_answer');
    where = JSON.parse(sessionStorage.getItem(`${kept}.gate`)); // the page was opened again while core is away
    setOffLine(true);
  }
  sessionStorage.setItem(kept, credential);
  sessionStorage.setItem(`${kept}.gate`, JSON.stringify(where));
  gate = candidate;
  $('credential').value = $('sign-in-problem').textContent = '';
  $('sign-in').hidden = true;
  $('scanner').hidden = false;
  $('history').replaceChildren();
  $('undo').disabled = true;
  setOffLine(offLine);
  drawWhere();
  ready();
  keepAwake(true);
  refresh();
  $('code').focus();
}

async function undo() {
  const reason = $('reason').value.trim();
  if (!reason || !last) return;
  try {
    await gate.undo(last.id, reason);
  } catch (e) {
    if (e instanceof SignedOut) {
      $('undo-dialog').close();
      return signOut('credential_refused');
    }
    if (e instanceof NoAnswer) setOffLine(true);
    $('undo-problem').textContent = e instanceof Refused ? why(e.problem) : say('no_answer');
    return;
  }
  const { place } = last;
  last = null;
  $('undo').disabled = true;
  $('undo-dialog').close();
  showAnswer('wait', () => say('undone'), nothing, () => place);
  remember(false, `${place}: ${say('undone')}`);
  refresh();
}

$('sign-in').addEventListener('submit', (e) => {
  e.preventDefault();
  unlock();
  signIn($('credential').value.trim());
});
$('typed').addEventListener('submit', (e) => {
  e.preventDefault();
  unlock();
  take($('code').value);
  $('code').value = '';
});
$('camera').addEventListener('click', () => {
  unlock();
  if (camera.on) {
    camera.stop();
    drawCamera();
  } else startCamera();
});
$('torch').addEventListener('click', async () => {
  const on = $('torch').ariaPressed !== 'true';
  await camera.torch(on);
  $('torch').ariaPressed = String(on);
});
$('mute').addEventListener('click', () => {
  const on = $('mute').ariaPressed !== 'true';
  $('mute').ariaPressed = String(on);
  setMute(on);
});
$('sign-out').addEventListener('click', () => signOut(''));
$('undo').addEventListener('click', () => {
  $('undo-what').textContent = last.place;
  $('reason').value = $('undo-problem').textContent = '';
  $('undo-dialog').showModal();
  $('reason').focus();
});
$('undo-cancel').addEventListener('click', () => $('undo-dialog').close());
$('undo-dialog').querySelector('form').addEventListener('submit', (e) => {
  e.preventDefault();
  undo();
});
for (const way of document.querySelectorAll('[name="direction"]')) {
  way.addEventListener('change', () => {
    seen.text = ''; // whoever is in the picture goes the other way now
    ready();
    $('code').focus();
  });
}
$('language').addEventListener('change', async () => {
  await choose($('language').value, true);
  drawWhere();
  drawCamera();
  if (gate) setOffLine(offLine);
  shownAnswer();
});
addEventListener('offline', () => gate && setOffLine(true));
addEventListener('online', () => refresh());
document.addEventListener('visibilitychange', () => {
  if (document.hidden && camera.on) camera.stop();
  else if (!document.hidden && gate && $('camera').dataset.text === 'camera_off') startCamera();
});
// A scanner types wherever the focus is: what is typed outside of a field goes into the one for codes.
document.addEventListener('keydown', (e) => {
  const elsewhere = !e.target.closest('input, select, dialog') && !$('undo-dialog').open;
  if (gate && elsewhere && /^[A-Za-z0-9]$/.test(e.key) && !e.ctrlKey && !e.metaKey && !e.altKey) $('code').focus();
});

$('language').value = preferred();
await choose($('language').value, false);
const before = sessionStorage.getItem(kept);
if (before) await signIn(before);
else signOut('');
