import { CodedError } from '../runtime/coded-error.js';

/** Raised for a schema that is none, or asks for what a grammar here cannot hold; `path` names the place in it. */
export class SchemaError extends CodedError {
  readonly code = 'schema_unsupported';

  constructor(
    readonly path: string,
    what: string,
  ) {
    super(`${path} ${what}`);
  }
}
