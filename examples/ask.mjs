// Encodes a video, asks about it and keeps a frame: node examples/ask.mjs clip.mp4 "What is happening?"
import { existsSync } from 'node:fs';
import { answer, decode, encode, openLinr } from 'latentchat';

const [clip, question = 'What is happening?'] = process.argv.slice(2);
if (clip === undefined) throw new Error('Name a video or a photo.');
const file = `${clip}.linr`;

if (!existsSync(file)) {
  const { psnr_db, bytes, seconds } = await encode(clip, {
    output: file,
    preset: 'draft',
    onProgress: ({ stage, done, total, unit }) => process.stderr.write(`${stage}: ${done.toFixed(0)} of ${total.toFixed(0)} ${unit}\n`),
  });
  console.log(`${file}: ${bytes} bytes, ${psnr_db.toFixed(1)} dB, ${seconds.toFixed(0)} s`);
}

const video = await openLinr(file);
console.log(`${video.frames} frames of ${video.width} x ${video.height}, ${video.duration_s.toFixed(1)} s`);
const { moments } = await answer(video, question, { onText: (piece) => process.stdout.write(piece) });
process.stdout.write('\n');
for (const { start_s, end_s } of moments) console.log(`${start_s.toFixed(1)} s to ${end_s.toFixed(1)} s`);
await decode(video, { output: `${clip}-frames`, frames: [Math.floor(video.frames / 2)], width: 320 });
