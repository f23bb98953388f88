/** MP4 files by mediabunny and the codecs of its server package. */
import { registerMediabunnyServer } from '@mediabunny/server';
import { FilePathTarget, Logging, LogLevel, Mp4OutputFormat, Output, Quality, VideoSample, VideoSampleSource } from 'mediabunny';
import { KEY_FRAME_SECONDS, type Mp4Encoder, type Mp4Job } from './mp4-encoder.js';

export async function mediabunnyEncoder({ path, size, timeline }: Mp4Job): Promise<Mp4Encoder> {
  registerMediabunnyServer({ hardwareContext: null });
  Logging.level = LogLevel.Errors;
  const source = new VideoSampleSource({ codec: 'avc', quality: new Quality('very-high'), keyFrameInterval: KEY_FRAME_SECONDS });
  const output = new Output({ format: new Mp4OutputFormat(), target: new FilePathTarget(path) });
  output.addVideoTrack(source);
  await output.start();
  let next = 0;
  return {
    name: 'mediabunny',
    async add(data) {
      const timestamp = timeline.starts_s[next];
      if (timestamp === undefined) throw new RangeError(`the video was to have ${timeline.starts_s.length} pictures, and there is another`);
      next += 1;
      const sample = new VideoSample(withFourthByte(data), {
        format: 'RGBX',
        codedWidth: size.width,
        codedHeight: size.height,
        timestamp,
        duration: (timeline.starts_s[next] ?? timeline.end_s) - timestamp,
      });
      try {
        await source.add(sample);
      } finally {
        sample.close();
      }
    },
    finish: () => output.finalize(),
    cancel: () => output.cancel(),
  };
}

function withFourthByte(rgb: Uint8Array): Uint8Array {
  const rgbx = new Uint8Array((rgb.length / 3) * 4);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    rgbx[to] = rgb[from] as number;
    rgbx[to + 1] = rgb[from + 1] as number;
    rgbx[to + 2] = rgb[from + 2] as number;
  }
  return rgbx;
}
