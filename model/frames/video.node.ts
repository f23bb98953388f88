/** Videos through libav in a process of its own, so that no file can hang, crash or fill the program that reads it. */
import { DecoderProcess } from './decoder.node.js';
import { damaged, FrameSourceError } from './error.js';
import { checkFramesOptions } from './limits.js';
import type { MediaFile } from './open.node.js';
import { withinPatience } from './stall.js';
import type { Frame, FrameSource, FramesOptions, VideoInfo } from './types.js';

/** @throws FrameSourceError `not_media`, `no_video_track`, `codec_unsupported`, `too_large`, `video_truncated`, `media_damaged`. */
export async function openVideo(file: MediaFile): Promise<FrameSource> {
  const decoder = DecoderProcess.take(file.name);
  try {
    const { info, warnings } = await withinPatience(decoder.call({ call: 'open', file }), undefined);
    return new IsolatedSource(decoder, file.name, info, warnings);
  } catch (error) {
    decoder.end();
    throw error instanceof FrameSourceError ? error : damaged(file.name, error);
  }
}

class IsolatedSource implements FrameSource {
  private loops = 0;
  private closed = false;

  constructor(
    private readonly decoder: DecoderProcess,
    private readonly name: string,
    readonly info: VideoInfo,
    public warnings: readonly string[],
  ) {}

  async *frames(options: FramesOptions = {}): AsyncGenerator<Frame, void, void> {
    checkFramesOptions(options);
    options.signal?.throwIfAborted();
    if (this.closed) throw this.closedError();
    const loop = this.loops++;
    let over = false;
    try {
      await this.decoder.call({ call: 'frames', loop, size: options.size ?? null, limit: options.limit ?? null, from_s: options.from_s ?? null });
      let next = this.decoder.call({ call: 'next', loop });
      for (;;) {
        const frame = await withinPatience(next, options.signal);
        over = frame === null;
        if (frame === null) {
          this.warnings = await withinPatience(this.decoder.call({ call: 'warnings' }), options.signal);
          break;
        }
        // The next frame is decoded while this one is used.
        next = this.decoder.call({ call: 'next', loop });
        next.catch(() => undefined); // Looked at when it is awaited, unless the loop is left before.
        // What comes from a process is a view into the message; the frame gets memory of its own.
        yield { ...frame, data: new Uint8Array(frame.data) };
        if (this.closed) throw this.closedError();
      }
    } catch (error) {
      if (options.signal?.aborted === true) throw options.signal.reason;
      if (error instanceof FrameSourceError) throw error;
      // A decoder that is stuck cannot be talked to.
      this.decoder.end();
      throw damaged(this.name, error);
    } finally {
      // A process that has ended, or reads another file by now, has left this loop already.
      if (!over && !this.closed) this.decoder.call({ call: 'return', loop }).catch(() => undefined);
    }
  }

  close(): Promise<void> {
    if (!this.closed) this.decoder.giveBack(this.closedError());
    this.closed = true;
    return Promise.resolve();
  }

  private closedError(): FrameSourceError {
    return new FrameSourceError('source_closed', `${this.name} was closed.`);
  }
}
