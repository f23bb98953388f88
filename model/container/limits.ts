/**
 * What the reader accepts, each limit with its reason. Every one is checked before anything of that size is allocated, so that a
 * file from an untrusted source can cost at most its own bytes, MAX_LATENT_ELEMENTS and MAX_NETWORK_ELEMENTS floats of memory (networks
 * are decoded one at a time) and time linear in its own length.
 */

/** One ArrayBuffer holds the file, and section lengths are 32-bit. A 1 GiB container would be hours of video. */
export const MAX_FILE_BYTES = 2 ** 30;

/** Segments: 4.5 hours at 30 frames a second in segments of 4 seconds. */
export const MAX_SEGMENTS = 4096;

/** One NETW section a segment; the rest is room for META, TIME, LATN and kinds that readers may skip. The header stays below 64 KiB. */
export const MAX_SECTIONS = MAX_SEGMENTS + 16;

/** META is a few hundred bytes and some 30 for each segment; a long file name and strings of other scripts still fit. */
export const MAX_META_BYTES = 256 * 1024;

/** A network's configuration is a few hundred bytes; it must not become a second payload. */
export const MAX_CONFIG_BYTES = 64 * 1024;

/** META and configurations nest three levels; deep nesting only serves to exhaust a recursive parser's stack. */
export const MAX_JSON_DEPTH = 16;

/** Names of sources, packs and presets, in UTF-16 units: file systems end at 255 bytes; ours may be longer titles. */
export const MAX_STRING_LENGTH = 1024;

/** Warnings about a source: a reader of files has a handful of kinds. */
export const MAX_WARNINGS = 16;

/** Pixels a side: twice 8K. A decoded frame of 16,384 x 16,384 is the most the area limit below would ever be asked about. */
export const MAX_SIDE = 16_384;

/** Pixels a frame: 8K (7680 x 4320) is 33 million; a decoded RGB frame stays below 200 MB. */
export const MAX_PIXELS = 64 * 1024 * 1024;

/** Frames: 9 hours at 30 frames a second; one index and one time each. */
export const MAX_FRAMES = 1_000_000;

/** Seconds: a time line longer than a year is damage, and microseconds stay exact in a double. */
export const MAX_SECONDS = 366 * 86_400;

/** Numbers a latent: 16 times the default of 256, room for larger vision towers. */
export const MAX_LATENT_DIM = 4096;

/** Tensors: a segment's network has 20 to 60. */
export const MAX_TENSORS = 4096;

/** Axes of a tensor: coordinate grids have four (basis, channels, rows, columns). */
export const MAX_RANK = 6;

/** Bytes of a tensor's name. */
export const MAX_NAME_BYTES = 200;

/** Numbers of the latent dictionary: 262,144 frames of 256. As floats 256 MiB. */
export const MAX_LATENT_ELEMENTS = 64 * 1024 * 1024;

/** Numbers of one segment's network: the largest preset has 5 million. As floats 256 MiB, with the integers before them 512. */
export const MAX_NETWORK_ELEMENTS = 64 * 1024 * 1024;

/**
 * Numbers of all networks together, for whoever checks a whole file: bounds the time that takes, to a minute or two. A gigabyte of
 * weights at 4 bits each.
 */
export const MAX_FILE_ELEMENTS = 2 ** 31;

/**
 * Symbols a coded byte may stand for. An adaptive coder can squeeze thousands of equal symbols into a byte, which would let a small
 * file ask for long work; writers pad such streams instead (a still video of 256 numbers a frame pays one byte a frame).
 */
export const MAX_SYMBOLS_PER_BYTE = 256;

/** Quantiser widths in bits: one bit is a sign and a size for all, above 16 float16 would do. */
export const MIN_BITS = 1;
export const MAX_BITS = 16;

/** Basis images of a segment: as many as it has frames at most. */
export const MAX_IMAGES = 1024;

/** Side of a transform's patch: beyond 32 pixels a picture is rarely alike. */
export const MAX_PATCH = 32;

/** Coefficients of one segment's basis images, nearly all zero and never held: clearing the sums around them is a tenth of a second. */
export const MAX_IMAGE_ELEMENTS = 2 ** 28;

/**
 * Coefficients of one basis image, and of all of a segment, that a coded byte may stand for: the sums around one image are held, of all they are
 * cleared. Writers pad shorter streams; 300 bytes are enough for images of 320 x 160.
 */
export const MAX_IMAGE_SIZE_PER_BYTE = 512;
export const MAX_IMAGE_ELEMENTS_PER_BYTE = 2 ** 16;
