/** Opens any file that shows something: a photo, or a video through ffmpeg or mediabunny. */
import { open, type FileHandle } from 'node:fs/promises';
import { resolve } from 'node:path';
import { FrameSourceError } from './error.js';
import { findFfmpeg } from './ffmpeg-program.node.js';
import { sniff, SNIFF_BYTES, type CommonContainer, type FfmpegContainer, type Sniffed } from './sniff.js';
import { checkComplete } from './truncation.node.js';
import type { FrameSource } from './types.js';

export interface OpenFramesOptions {
  /**
   * What decodes videos. Default `auto`: the system's ffmpeg where ffmpeg and ffprobe are on PATH, otherwise mediabunny
   * with the decoders of its server package, which needs nothing from the system but reads no AVI.
   */
  readonly decoder?: 'auto' | 'ffmpeg' | 'mediabunny';
  /** What messages call the file. Default: the path as given. A server puts the name its user knows here. */
  readonly name?: string;
}

/** A file as the decoders are handed it. */
export interface MediaFile {
  /** Absolute, so that no program takes it for an option. */
  readonly path: string;
  /** For messages. */
  readonly name: string;
  readonly bytes: number;
}

/**
 * Opens a photo (JPEG, PNG, WebP) or a video (MP4, MOV, MKV, WebM; with ffmpeg also AVI, FLV, MPEG, WMV, Ogg, GIF).
 * The bytes decide what it is, never the name. Close the source when done.
 *
 * @throws FrameSourceError that says what is wrong with the file and what would help.
 */
export async function openFrames(path: string, options: OpenFramesOptions = {}): Promise<FrameSource> {
  const name = options.name ?? path;
  const { file, sniffed } = await inspect(resolve(path), name);
  switch (sniffed.kind) {
    case 'photo': {
      const { openPhoto } = await import('./photo.node.js');
      return openPhoto(file, sniffed.format);
    }
    case 'video':
      return openVideo(file, sniffed.container, options.decoder ?? 'auto');
    case 'refused':
      throw new FrameSourceError('not_media', `${name} is a ${sniffed.format} picture, which is not read. Convert it to JPEG, PNG or WebP.`);
    case 'unknown':
      throw new FrameSourceError(
        'not_media',
        `${name} is neither a photo nor a video that is known here. Photos may be JPEG, PNG or WebP, videos MP4, MOV, MKV or WebM.`,
      );
  }
}

async function inspect(path: string, name: string): Promise<{ file: MediaFile; sniffed: Sniffed }> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR');
    throw new FrameSourceError('file_missing', missing ? `There is no file ${name}.` : `${name} cannot be read: ${String(cause)}.`, { cause });
  }
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw new FrameSourceError('file_missing', `${name} is not a file. Name a photo or a video.`);
    if (stat.size === 0) throw new FrameSourceError('file_empty', `${name} is empty (0 bytes). Copy or download it again.`);
    const head = Buffer.alloc(SNIFF_BYTES);
    const { bytesRead } = await handle.read(head, 0, head.length, 0);
    const file: MediaFile = { path, name, bytes: stat.size };
    const sniffed = sniff(head.subarray(0, bytesRead));
    if (sniffed.kind === 'video' && isCommon(sniffed.container)) await checkComplete(handle, file, sniffed.container);
    return { file, sniffed };
  } finally {
    await handle.close();
  }
}

// Each decoder is loaded only when it is used: mediabunny's brings 175 MB of native code.
async function openVideo(file: MediaFile, container: CommonContainer | FfmpegContainer, decoder: 'auto' | 'ffmpeg' | 'mediabunny'): Promise<FrameSource> {
  const ffmpeg = decoder === 'mediabunny' ? null : await findFfmpeg();
  if (ffmpeg !== null) {
    const { openWithFfmpeg } = await import('./ffmpeg.node.js');
    return openWithFfmpeg(file, container, ffmpeg);
  }
  if (isCommon(container) && decoder !== 'ffmpeg') {
    const { openWithMediabunny } = await import('./mediabunny.node.js');
    return openWithMediabunny(file, container);
  }
  throw new FrameSourceError(
    'container_needs_ffmpeg',
    `${file.name} is ${CONTAINER_NAMES[container]}, to be read with ffmpeg, but ffmpeg and ffprobe are not on this machine's PATH. Install ffmpeg, or convert the file to MP4.`,
  );
}

const CONTAINER_NAMES: Readonly<Record<CommonContainer | FfmpegContainer, string>> = {
  mp4: 'an MP4 video',
  matroska: 'a Matroska video',
  avi: 'an AVI video',
  flv: 'a Flash video',
  mpegts: 'an MPEG transport stream',
  mpeg: 'an MPEG program stream',
  asf: 'a Windows Media file',
  ogg: 'an Ogg file',
  gif: 'a GIF',
};

function isCommon(container: CommonContainer | FfmpegContainer): container is CommonContainer {
  return container === 'mp4' || container === 'matroska';
}
