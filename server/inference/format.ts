/** What an answer must be, as a grammar. */
import { oneOf, type Grammar } from '../../model/language/grammar.js';
import { jsonSchema } from '../../model/language/json-schema.js';
import { jsonObject } from '../../model/language/json-text.js';
import type { ResponseFormat } from '../api/chat-schemas.js';

/** null where any text will do. @throws SchemaError naming the part of a JSON schema that is wrong or not supported */
export function grammarOf(format: ResponseFormat | null): Grammar | null {
  switch (format?.type) {
    case 'json_object':
      return jsonObject;
    case 'json_schema':
      return jsonSchema(format.json_schema.schema);
    case 'choice':
      return oneOf(format.choice);
    default:
      return null;
  }
}
