/** Frames: what every room needs of them. Opening a file is in open.node.ts, which needs a file system. */
export { FrameSourceError, type FrameSourceErrorCode } from './error.js';
export { heldFrames } from './held.js';
export { pickFrames, type PickedFrames } from './picked.js';
export { resize, type ResizeFilter } from './resize.js';
export { progressiveOrder, uniformIndices } from './sampling.js';
export type { Frame, FrameSize, FramesOptions, FrameSource, VideoInfo } from './types.js';
