/**
 * What the reader of PyTorch files accepts, each limit with its reason. A file from an untrusted source can cost a few times its
 * pickle's bytes of memory, and of its tensors only those that are asked for.
 */
import { TensorFileError } from '../tensor-file.js';

/** A pickle: the names and places of 25,000 tensors take some 5 MB; the largest known one, of a checkpoint with its optimizer, takes 3. */
export const MAX_PICKLE_BYTES = 16 * 1024 * 1024;
/** Entries of the ZIP archive: one for each tensor's storage, some for versions. */
export const MAX_ENTRIES = 200_000;
/** Bytes of the ZIP's list of its entries: as many, with names of some 100 bytes. */
export const MAX_DIRECTORY_BYTES = 32 * 1024 * 1024;
/**
 * Values a pickle makes, of which a tensor needs some 20, and values met while looking for tensors: the same list may stand in many
 * places, so the second is not bounded by the first. A value of one byte in the pickle takes up to 250 in memory.
 */
export const MAX_VALUES = 500_000;
/** Dictionaries and lists inside each other: an optimizer's state nests 4 deep. Deeper, or without end, is no checkpoint. */
export const MAX_DEPTH = 16;
/** Bytes of a whole number: the magic number of the format before ZIP has 10, all others fit into 8. */
export const MAX_INTEGER_BYTES = 16;

/** Raised for a PyTorch file that is damaged or holds something else than tensors. The message names the file. */
export class TorchFileError extends TensorFileError {
  override readonly name = 'TorchFileError';
}
