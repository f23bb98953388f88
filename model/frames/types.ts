/** Frames as every room sees them, whatever file and decoder they came from. */

/** One picture: upright, square pixels, 8-bit RGB. */
export interface Frame {
  /** Pixels. */
  readonly width: number;
  /** Pixels. */
  readonly height: number;
  /** Seconds after the first frame of the video; 0 for a photo. */
  readonly time_s: number;
  /** RGB, row by row: (height, width, 3), 0..255. The array belongs to whoever received the frame. */
  readonly data: Uint8Array;
}

export interface VideoInfo {
  /** Pixels, upright and with square pixels: the size `frames()` yields when none is asked for. */
  readonly width: number;
  readonly height: number;
  /** Seconds from the start of the first frame to the end of the last; 0 for a photo. */
  readonly duration_s: number;
  /** How many frames `frames()` yields, or null where counting them would mean reading a very long file. */
  readonly frames: number | null;
  /** Mean frames per second; null for a photo, a single frame, or an unknown count. */
  readonly fps: number | null;
  readonly kind: 'video' | 'photo';
}

export interface FrameSize {
  readonly width: number;
  readonly height: number;
}

export interface FramesOptions {
  /** Size of the frames in pixels; the picture is stretched to it. Default: the video's own size. */
  readonly size?: FrameSize;
  /** Aborting makes the iteration throw the signal's reason and closes the decoder. */
  readonly signal?: AbortSignal;
  /**
   * At most this many frames, uniform in time: the video is cut into `limit` equal stretches and the frame shown in
   * the middle of each is taken, once. Default: every frame.
   */
  readonly limit?: number;
  /** The frame shown at this second and those after it; excludes `limit`. Default: from the first frame on. */
  readonly from_s?: number;
}

export interface FrameSource {
  readonly info: VideoInfo;
  /**
   * Sentences for the file's owner about what was read otherwise than the file says: parts that are damaged or missing,
   * tracks that were left out. Short files are known whole when they are opened; of long ones, reading may add to the list.
   */
  readonly warnings: readonly string[];
  /**
   * The frames in order of time. A frame is decoded when it is asked for (a few are decoded ahead), so memory does not
   * grow with the video; leaving the loop early closes the decoder. May be called again, also while another runs.
   *
   * @throws FrameSourceError `media_damaged` where no frame can be decoded, `source_closed` after `close()`.
   * @throws RangeError naming the option that is out of range.
   */
  frames(options?: FramesOptions): AsyncIterable<Frame>;
  /** Frees the file and the decoders. Safe to call more than once. */
  close(): Promise<void>;
}
