/** The networks that a codec's rate and distortion are compared with, each made for a file of about so many bytes. */
import type { NeuralCodec } from './codec.js';
import { hnerv } from './hnerv.js';
import { nerv } from './nerv.js';
import { nirvanaOfBytes } from './nirvana-codec.js';
import { nvpOfBytes } from './nvp-codec.js';
import { peerOfBytes, type PeerVideo } from './peer.js';
import { frameCodec } from './trainer.js';

export const NEURAL_CODECS = {
  NeRV: (video, bytes) => frameCodec(peerOfBytes((width) => nerv(video, width), bytes)),
  HNeRV: (video, bytes) => frameCodec(peerOfBytes((width) => hnerv(video, width), bytes)),
  NVP: nvpOfBytes,
  NIRVANA: nirvanaOfBytes,
} as const satisfies Readonly<Record<string, (video: PeerVideo, bytes: number) => NeuralCodec>>;

export type NeuralCodecName = keyof typeof NEURAL_CODECS;
