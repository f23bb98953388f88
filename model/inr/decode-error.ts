import { CodedError } from '../runtime/coded-error.js';

/** The stable reasons for which a frame is not decoded. */
export type LinrDecodeErrorCode =
  /** No such frame, or a position between frames that is none. */
  | 'frame_not_found'
  | 'width_out_of_range'
  /** The frame's segment has no network in this file yet. */
  | 'pictures_not_ready'
  /** The segment's network is none that this decoder can build. */
  | 'network_invalid'
  | 'decoder_released';

/** Thrown by the decoder; what is wrong with the file's bytes themselves is a ContainerError. */
export class LinrDecodeError extends CodedError {
  readonly code: LinrDecodeErrorCode;

  constructor(code: LinrDecodeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'LinrDecodeError';
    this.code = code;
  }
}
