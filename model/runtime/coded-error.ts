/**
 * What every error of this package that a caller can act upon is: `code` is stable and meant for programs, `message` is a sentence for
 * people. Anything else that is thrown is an abort signal's reason, an error of the file system (which has a `code` of its own), a
 * RangeError or TypeError that names the argument which is wrong, or a fault of this package.
 */
export abstract class CodedError extends Error {
  abstract readonly code: string;
}
