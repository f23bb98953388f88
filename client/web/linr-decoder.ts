/**
 * The decoder as an ES module for any page: `const frame = await new LinrDecoder(url).frame(t, width)`. A server that answers range
 * requests is asked for the head and the segments that are looked at only. ONNX Runtime's wasm is fetched from beside this script when
 * the first frame is asked for.
 */
export { ContainerError, type ContainerErrorCode, type ContainerMeta, type LinrFile } from '../../model/container/index.js';
export type { Frame } from '../../model/frames/types.js';
export { LinrDecodeError, type LinrDecodeErrorCode } from '../../model/inr/decode-error.js';
export { LinrDecoder, MAX_ENLARGEMENT, type LinrSource } from '../../model/inr/decoder.js';
