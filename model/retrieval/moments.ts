/** When in a video: runs of frames that a query's cosines set apart from the rest of the same video. */

export interface Moment {
  /** Its frames: from `first` up to, not including, `end`. */
  readonly first: number;
  readonly end: number;
  readonly start_s: number;
  readonly end_s: number;
  /** The frame that fits best. */
  readonly frame: number;
  /** Mean cosine around that frame. */
  readonly score: number;
}

export interface MomentOptions {
  /** Most moments, best first. Default: all. */
  readonly most?: number;
}

/** Cosines are averaged over this many seconds to each side, within the shot: a single frame proves little. */
const SMOOTHED_S = 0.5;
/**
 * How much of a frame's score is that of its whole shot. A shot is mostly about one thing, and a scene's own cosines rise and fall with what a
 * pan brings into sight.
 */
const SHOT_SHARE = 0.5;
/**
 * A moment's frames lie within this part of the way from the video's best score down to its low ones, or within this cosine where the video is
 * all alike: cosines of one scene differ by about as much.
 */
const BAND_SHARE = 0.4;
const LEAST_BAND = 0.03;
/** What counts as low: not the lowest frame, which may be a black one. */
const LOW_QUANTILE = 0.1;
/** Shorter runs are taken for parts of what surrounds them. */
const SHORTEST_S = 0.4;

/**
 * The moments of a video for one query, best first; together they are the whole video.
 *
 * Where the threshold lies is a matter of the video's own scores, since a text's cosines differ more between texts than between a hit and a miss:
 * frames are sorted into bands below the best score, and a moment is a run of frames of one band.
 *
 * @param scores (T) cosines
 * @param times_s (T) when each frame is shown; the last until `duration_s`
 * @param shots first frames of the shots, the first of them 0
 */
export function findMoments(
  scores: ArrayLike<number>,
  times_s: ArrayLike<number>,
  duration_s: number,
  shots: readonly number[],
  { most = Infinity }: MomentOptions = {},
): Moment[] {
  const frames = scores.length;
  const endOf = (frame: number): number => frameEnd(times_s, duration_s, frame);
  const smooth = smoothed(scores, times_s, shots);
  const sorted = Float64Array.from(smooth).sort();
  const best = sorted.at(-1) ?? 0;
  const low = sorted[Math.floor(LOW_QUANTILE * (frames - 1))] ?? 0;
  const width = Math.max(LEAST_BAND, BAND_SHARE * (best - low));
  const runs = joinShort(runsOf(smooth.map((score) => Math.floor((best - score) / width))), (run) => endOf(run.end - 1) - (times_s[run.first] as number));
  const moments = runs.map(({ first, end }): Moment => {
    let frame = first;
    for (let t = first + 1; t < end; t++) if ((smooth[t] as number) > (smooth[frame] as number)) frame = t;
    return { first, end, start_s: first === 0 ? 0 : (times_s[first] as number), end_s: endOf(end - 1), frame, score: smooth[frame] as number };
  });
  return moments.sort((a, b) => b.score - a.score || a.first - b.first).slice(0, most);
}

/** When the last frame ends, of a video that does not say so: it is shown as long as the one before. */
function lastSecond(times_s: ArrayLike<number>): number {
  const last = times_s[times_s.length - 1] ?? 0;
  return last + (last - (times_s[times_s.length - 2] ?? last));
}

/** When a video ends: as it says, else as its frames do. */
export function videoEnd({ times_s, duration_s = 0 }: { readonly times_s: ArrayLike<number>; readonly duration_s?: number | undefined }): number {
  return duration_s > 0 ? Math.max(duration_s, times_s[times_s.length - 1] ?? 0) : lastSecond(times_s);
}

/** Until when a frame is shown. */
export function frameEnd(times_s: ArrayLike<number>, duration_s: number, frame: number): number {
  return times_s[frame + 1] ?? Math.max(duration_s, times_s[frame] as number);
}

/** Each score averaged with its neighbours in time and with its shot. */
function smoothed(scores: ArrayLike<number>, times_s: ArrayLike<number>, shots: readonly number[]): Float64Array {
  const smooth = new Float64Array(scores.length);
  const sums = new Float64Array(scores.length + 1);
  for (let t = 0; t < scores.length; t++) sums[t + 1] = (sums[t] as number) + (scores[t] as number);
  const mean = (from: number, to: number): number => ((sums[to] as number) - (sums[from] as number)) / (to - from);
  for (const [k, start] of shots.entries()) {
    const end = shots[k + 1] ?? scores.length;
    const whole = mean(start, end);
    for (let t = start, from = start, to = start; t < end; t++) {
      const time = times_s[t] as number;
      while ((times_s[from] as number) < time - SMOOTHED_S) from++;
      while (to < end && (times_s[to] as number) <= time + SMOOTHED_S) to++;
      smooth[t] = SHOT_SHARE * whole + (1 - SHOT_SHARE) * mean(from, to);
    }
  }
  return smooth;
}

interface Run {
  readonly first: number;
  readonly end: number;
  readonly band: number;
}

function runsOf(bands: ArrayLike<number>): Run[] {
  const runs: Run[] = [];
  for (let first = 0; first < bands.length; ) {
    const band = bands[first] as number;
    let end = first + 1;
    while (end < bands.length && bands[end] === band) end++;
    runs.push({ first, end, band });
    first = end;
  }
  return runs;
}

/** Runs that are too short become part of the neighbour whose band is nearest to theirs, the shortest first. */
function joinShort(runs: readonly Run[], seconds: (run: Run) => number): Run[] {
  const kept = [...runs];
  while (kept.length > 1) {
    let at = -1;
    for (const [i, run] of kept.entries()) if (seconds(run) < SHORTEST_S && (at < 0 || seconds(run) < seconds(kept[at] as Run))) at = i;
    if (at < 0) break;
    const run = kept[at] as Run;
    const distance = (other: Run | undefined): number => (other === undefined ? Infinity : Math.abs(other.band - run.band));
    const into = distance(kept[at - 1]) <= distance(kept[at + 1]) ? at - 1 : at + 1;
    const host = kept[into] as Run;
    const first = Math.min(at, into);
    kept.splice(first, 2, { first: Math.min(run.first, host.first), end: Math.max(run.end, host.end), band: host.band });
    // Neighbours that have come to lie in one band are one run.
    while (kept[first + 1]?.band === kept[first]?.band && first + 1 < kept.length) {
      kept.splice(first, 2, { ...(kept[first] as Run), end: (kept[first + 1] as Run).end });
    }
    const before = kept[first - 1];
    const own = kept[first] as Run;
    if (before !== undefined && before.band === own.band) kept.splice(first - 1, 2, { ...before, end: own.end });
  }
  return kept;
}
