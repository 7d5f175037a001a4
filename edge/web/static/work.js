// A worker that finds the number for a proof of work. It is a classic script without imports, for old browsers, and has a SHA-256 of its
// own: the browser's works on promises, which is slow for millions of short texts, and is missing on plain HTTP.

var K = new Int32Array(64);
var FIRST = new Int32Array(8);
(function () { // the fractions of square and cube roots of primes
  for (var n = 2, found = 0; found < 64; n++) {
    var prime = true;
    for (var d = 2; d * d <= n; d++) if (n % d === 0) prime = false;
    if (!prime) continue;
    if (found < 8) FIRST[found] = ((Math.sqrt(n) % 1) * 4294967296) | 0;
    K[found++] = ((Math.cbrt(n) % 1) * 4294967296) | 0;
  }
})();

var W = new Int32Array(64);

function compress(state, words) {
  for (var i = 0; i < 16; i++) W[i] = words[i];
  for (i = 16; i < 64; i++) {
    var x = W[i - 15], y = W[i - 2];
    W[i] = (W[i - 16] + W[i - 7] + (((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)) + (((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10))) | 0;
  }
  var a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
  for (i = 0; i < 64; i++) {
    var t1 = (h + (((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))) + ((e & f) ^ (~e & g)) + K[i] + W[i]) | 0;
    var t2 = ((((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g; g = f; f = e; e = (d + t1) | 0; d = c; c = b; b = a; a = (t1 + t2) | 0;
  }
  state[0] = (state[0] + a) | 0; state[1] = (state[1] + b) | 0; state[2] = (state[2] + c) | 0; state[3] = (state[3] + d) | 0;
  state[4] = (state[4] + e) | 0; state[5] = (state[5] + f) | 0; state[6] = (state[6] + g) | 0; state[7] = (state[7] + h) | 0;
}

/** SHA-256 of an ASCII text, as eight words. */
function hash(text) {
  var blocks = ((text.length + 8) >> 6) + 1;
  var words = new Int32Array(blocks * 16);
  for (var i = 0; i < text.length; i++) words[i >> 2] |= text.charCodeAt(i) << (24 - (i & 3) * 8);
  words[text.length >> 2] |= 0x80 << (24 - (text.length & 3) * 8);
  words[blocks * 16 - 1] = text.length * 8;
  var state = new Int32Array(FIRST);
  for (i = 0; i < blocks; i++) compress(state, words.subarray(i * 16, i * 16 + 16));
  return state;
}

onmessage = function (e) {
  var seed = hash(e.data.text), bits = e.data.bits;
  var words = new Int32Array(16), state = new Int32Array(8);
  words.set(seed);
  words[10] = 0x80000000 | 0;
  words[15] = 40 * 8;
  var bytes = [];
  for (var i = 0; i < 32; i++) bytes.push((seed[i >> 2] >>> (24 - (i & 3) * 8)) & 255);
  for (var n = 0; bits > 0; n++) {
    words[8] = (n / 4294967296) | 0;
    words[9] = n | 0;
    state.set(FIRST);
    compress(state, words);
    if (Math.clz32(state[0]) >= bits) break;
  }
  postMessage({ number: n, seed: bytes });
};
