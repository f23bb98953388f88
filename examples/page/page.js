// Opens a .linr file, from a file picker or from the address ?video=, and draws the frame that the slider names.
import { CodedError, openLinr } from 'latentchat/browser';

const at = (id) => document.getElementById(id);
let video = null;
/** Only the newest position is worth drawing: the slider moves faster than frames are drawn. */
let drawing = false;

async function show(source) {
  await video?.close();
  video = null;
  try {
    video = await openLinr(source, { wasmUrl: new URL('./', location.href).href });
    at('frame').max = String(video.frames - 1);
    at('frame').value = '0';
    at('told').textContent = `${video.frames} frames of ${video.width} x ${video.height}, ${video.duration_s.toFixed(1)} s`;
    await draw();
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    at('told').textContent = `${error.message} (${error.code})`;
  }
}

async function draw() {
  if (drawing || video === null) return;
  drawing = true;
  try {
    for (let wanted = null; wanted !== at('frame').valueAsNumber; ) {
      wanted = at('frame').valueAsNumber;
      const { data, width, height } = await video.frame(wanted);
      const picture = new ImageData(width, height);
      for (let i = 0; i < width * height; i++) picture.data.set([data[3 * i], data[3 * i + 1], data[3 * i + 2], 255], 4 * i);
      Object.assign(at('picture'), { width, height });
      at('picture').getContext('2d').putImageData(picture, 0, 0);
      at('index').value = String(wanted);
    }
  } finally {
    drawing = false;
  }
}

at('file').addEventListener('change', () => show(at('file').files[0]));
at('frame').addEventListener('input', draw);
const address = new URLSearchParams(location.search).get('video');
if (address !== null) await show(address);
