// The camera, and who reads its picture: the browser's BarcodeDetector, or jsQR in a worker.

// pause between two pictures, in milliseconds: a person is not faster, and the battery has to last.
const pause = 90;
// side is the longest side of a picture that the worker gets, in pixels.
const side = 960;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function detector() {
  if (!('BarcodeDetector' in globalThis)) return null;
  try {
    const formats = await BarcodeDetector.getSupportedFormats();
    if (!formats.includes('qr_code')) return null;
    const native = new BarcodeDetector({ formats: ['qr_code'] });
    return { name: 'native', read: async (video) => (await native.detect(video))[0]?.rawValue ?? '', close() {} };
  } catch {
    return null;
  }
}

function workers() {
  const worker = new Worker('/scanner/worker.js');
  const canvas = document.createElement('canvas');
  const pen = canvas.getContext('2d', { willReadFrequently: true });
  return {
    name: 'fallback',
    read(video) {
      const scale = Math.min(1, side / Math.max(video.videoWidth, video.videoHeight));
      const width = Math.round(video.videoWidth * scale);
      const height = Math.round(video.videoHeight * scale);
      if (!width || !height) return '';
      canvas.width = width;
      canvas.height = height;
      pen.drawImage(video, 0, 0, width, height);
      const pixels = pen.getImageData(0, 0, width, height).data.buffer;
      return new Promise((done, failed) => {
        worker.onmessage = ({ data }) => done(data);
        worker.onerror = () => failed(new Error('the worker failed'));
        worker.postMessage({ pixels, width, height }, [pixels]);
      });
    },
    close: () => worker.terminate(),
  };
}

// Camera shows its picture in a video element and tells what it sees: looked gets a code at each look, empty when there is none.
export class Camera {
  constructor(video, looked) {
    this.video = video;
    this.looked = looked;
    this.stream = null;
    this.turn = 0; // a loop that is not of the present turn ends
  }

  get on() {
    return this.stream !== null;
  }

  // start throws the browser's reason when there is no camera, or nobody may use it.
  async start() {
    const turn = ++this.turn;
    if (!navigator.mediaDevices) throw new DOMException('no https', 'SecurityError');
    const stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: { facingMode: { ideal: 'environment' }, width: { ideal: 1280 }, height: { ideal: 720 } } });
    if (turn !== this.turn) {
      for (const track of stream.getTracks()) track.stop();
      return;
    }
    this.stream = stream;
    this.video.srcObject = stream;
    this.video.hidden = false;
    await this.video.play();
    this.look(turn);
  }

  stop() {
    this.turn++;
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
    this.video.hidden = true;
  }

  async look(turn) {
    let reader = (await detector()) ?? workers();
    this.video.dataset.reader = reader.name;
    while (turn === this.turn) {
      try {
        const text = this.video.readyState >= 2 ? await reader.read(this.video) : '';
        if (turn === this.turn) this.looked(text);
      } catch {
        reader.close();
        reader = workers();
        this.video.dataset.reader = reader.name;
        await sleep(1000);
      }
      await sleep(pause);
    }
    reader.close();
  }

  get track() {
    return this.stream?.getVideoTracks()[0];
  }

  // hasTorch tells whether the camera has a light.
  get hasTorch() {
    return Boolean(this.track?.getCapabilities?.().torch);
  }

  torch(on) {
    return this.track.applyConstraints({ advanced: [{ torch: on }] });
  }
}
