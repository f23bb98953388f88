/** What the decode bench measures, the same code in Node and in the browser. */
import { PeerDecoder, writePeer, type Peer } from '../../client/peers/peer.js';
import { framesPerSecond } from '../../client/peers/speed.js';
import type { LinrDecoder } from '../../model/inr/decoder.js';
import { seededRandom } from '../../model/runtime/random.js';
import type { Runtime } from '../../model/runtime/types.js';
import { median } from './timing.js';

export interface LinrSpeeds {
  /** Milliseconds, medians over several times: to read the head of a container in memory, to make a segment's network ready, and of a frame of it at random then. */
  readonly open_ms: number;
  readonly ready_ms: number;
  readonly first_ms: number;
  /** From a read head to a frame at random: the two before it in one, the median of their sums. */
  readonly opened_to_first_ms: number;
  /** Frames a second, in order, at each of the widths asked for. */
  readonly fps: readonly number[];
}

export interface DecodeSpeeds extends LinrSpeeds {
  readonly runtime: string;
  /** Frames a second of the peer at the encoded size. */
  readonly peer_fps: number;
}

const OPENINGS = 5;

/** `open` builds a new decoder of the same container of `frames` frames. */
export async function linrSpeeds(open: () => LinrDecoder, frames: number, widths: readonly number[]): Promise<LinrSpeeds> {
  const random = seededRandom(1);
  const [opening, ready, first, both]: [number[], number[], number[], number[]] = [[], [], [], []];
  for (let i = 0; i < OPENINGS; i++) {
    const start = performance.now();
    const decoder = open();
    await decoder.file();
    const opened = performance.now();
    const t = Math.floor(random() * frames);
    await decoder.prepare(t);
    const prepared = performance.now();
    await decoder.frame(t);
    const drawn = performance.now();
    first.push(drawn - prepared);
    both.push(drawn - opened);
    ready.push(prepared - opened);
    opening.push(opened - start);
    await decoder.release();
  }
  const decoder = open();
  const fps: number[] = [];
  for (const width of widths) fps.push(await framesPerSecond((t) => decoder.frame(t % frames, width)));
  await decoder.release();
  return { open_ms: median(opening), ready_ms: median(ready), first_ms: median(first), opened_to_first_ms: median(both), fps };
}

/** Frames a second of a peer with the weights it starts from: what they are does not change the work. */
export async function peerSpeed(peer: Peer, runtime: Runtime): Promise<number> {
  const random = seededRandom(1);
  const size = peer.codeDims.reduce((product, dim) => product * dim, 1);
  const codes = peer.codeAt === null ? Float32Array.from({ length: peer.video.frames * size }, () => random() - 0.5) : null;
  const weights = new Map(peer.decoderSpecs.map((spec) => [spec.name, peer.initial(spec, random)]));
  const decoder = await PeerDecoder.open(peer, writePeer(peer, weights, codes), runtime);
  const fps = await framesPerSecond((t) => decoder.frame(t % peer.video.frames));
  await decoder.release();
  return fps;
}
