// Reads QR codes where the browser cannot by itself. One picture at a time.
importScripts('/scanner/jsQR.js');

onmessage = ({ data: { pixels, width, height } }) => {
  const found = jsQR(new Uint8ClampedArray(pixels), width, height, { inversionAttempts: 'dontInvert' });
  postMessage(found ? found.data : '');
};
