/** Which of a file's tracks is its video. */

/** What a container says of a track of pictures. */
export interface VideoTrack {
  /** The track's place in the file. */
  readonly index: number;
  /** Pixels; 0 where the container does not say. */
  readonly width: number;
  readonly height: number;
  /** Whether the container names it as the one to show. */
  readonly isDefault: boolean;
  /** Cover art and thumbnails, and layers that mean nothing without another track. */
  readonly isAside: boolean;
  /** Whether there is a decoder for it. */
  readonly decodable: boolean;
}

/**
 * The track that players show: one that can be decoded, rather the default one, rather the larger, rather the first. Null where
 * there is no track but cover art.
 */
export function chooseTrack(tracks: readonly VideoTrack[]): VideoTrack | null {
  let best: VideoTrack | null = null;
  for (const track of tracks) if (!track.isAside && (best === null || compare(track, best) > 0)) best = track;
  return best;
}

function compare(a: VideoTrack, b: VideoTrack): number {
  const shown = (track: VideoTrack): number => Number(track.decodable && track.width > 0);
  return shown(a) - shown(b) || Number(a.isDefault) - Number(b.isDefault) || a.width * a.height - b.width * b.height;
}

/** What the file's owner should know about the choice; null where there was none. */
export function choiceWarning(tracks: readonly VideoTrack[], { width, height }: VideoTrack): string | null {
  const shown = tracks.filter((track) => !track.isAside);
  if (shown.length < 2) return null;
  return `The file has ${shown.length} video tracks; only the one of ${width} x ${height} pixels was read.`;
}
