/** GGUF, llama.cpp's file format: metadata, and tensors in blocks of few bits. */
export { GgufError, readGguf, type GgufFile, type GgufScalar, type GgufTensor, type GgufValue } from './read.js';
export { decodeBlocks, GGUF_TYPES, scaleAndMinimum, type GgufType } from './types.js';
