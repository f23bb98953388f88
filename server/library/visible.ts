import { owns, sees, type Caller, type Owned } from '../access/caller.js';
import type { Video } from '../api/schemas.js';
import { ApiError } from '../errors.js';
import { presentVideo, videoNotFound, type ProgressBoard, type VideoRow, type Videos } from '../store/videos.js';
import type { VideoChange, VideoFeed } from './feed.js';

/** What a library lends to its views. */
export interface LibraryParts {
  readonly videos: Pick<Videos, 'find' | 'list'>;
  readonly board: ProgressBoard;
  readonly feed: VideoFeed;
  /** True where every caller sees and may remove every video, whoever uploaded it. */
  readonly shared: boolean;
  /** Removes a video, whoever asks. */
  readonly remove: (id: string) => Promise<void>;
}

/** The videos as one caller sees them. Whatever names a video for a caller goes through here: another's is not there. */
export class VisibleVideos {
  readonly #parts: LibraryParts;
  readonly #caller: Caller;

  constructor(parts: LibraryParts, caller: Caller) {
    this.#parts = parts;
    this.#caller = caller;
  }

  /** Newest first. */
  list(): Video[] {
    const { videos, board } = this.#parts;
    return videos.list().filter((row) => this.#sees(row)).map((row) => presentVideo(row, board));
  }

  /** Throws `video_not_found`, naming `param`. */
  get(id: string, param: string | null = null): Video {
    return presentVideo(this.row(id, param), this.#parts.board);
  }

  /** The stored row. Throws `video_not_found`, naming `param`. */
  row(id: string, param: string | null = null): VideoRow {
    const row = this.#parts.videos.find(id);
    if (row && this.#sees(row)) return row;
    throw videoNotFound(id, param);
  }

  /** Removes a video and everything that belongs to it. Throws `video_not_found`, `operator_only`. */
  async remove(id: string): Promise<void> {
    const row = this.row(id);
    if (!this.#parts.shared && !owns(this.#caller, row)) throw new ApiError('operator_only');
    await this.#parts.remove(row.id);
  }

  /** Tells of every change to a video that the caller sees; gives the function that ends the subscription. */
  subscribe(listener: (change: VideoChange) => void): () => void {
    return this.#parts.feed.subscribe((change, video) => {
      if (this.#sees(video)) listener(change);
    });
  }

  #sees(video: Owned): boolean {
    return this.#parts.shared || sees(this.#caller, video);
  }
}
