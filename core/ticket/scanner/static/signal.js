// What is heard and felt. Browsers let a page make sounds only after somebody has touched it: unlock is called then.

let audio = null;
let mute = false;

export function unlock() {
  audio ??= new AudioContext();
  if (audio.state === 'suspended') audio.resume();
}

export function setMute(on) {
  mute = on;
}

function tone(frequency, from, length, type) {
  const source = audio.createOscillator();
  const volume = audio.createGain();
  source.type = type;
  source.frequency.value = frequency;
  volume.gain.value = 0.25;
  source.connect(volume).connect(audio.destination);
  source.start(audio.currentTime + from);
  source.stop(audio.currentTime + from + length);
}

// signal tells a verdict without words: two high notes and one short buzz, or a long low one and three buzzes.
export function signal(verdict) {
  navigator.vibrate?.(verdict === 'pass' ? 80 : [180, 80, 180, 80, 180]);
  if (mute || audio?.state !== 'running') return;
  if (verdict === 'pass') {
    tone(880, 0, 0.09, 'sine');
    tone(1320, 0.1, 0.14, 'sine');
  } else {
    tone(170, 0, 0.5, 'square');
  }
}

let lock = null;
let awake = false;

// keepAwake keeps the screen on for as long as the page is seen.
export async function keepAwake(on) {
  awake = on;
  try {
    if (on && document.visibilityState === 'visible') lock = await navigator.wakeLock?.request('screen');
    else await lock?.release();
  } catch {
    lock = null; // the battery is low; the page goes on
  }
}

document.addEventListener('visibilitychange', () => {
  if (awake && document.visibilityState === 'visible') keepAwake(true);
});
