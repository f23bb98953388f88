/**
 * Runs whose every result is written into the caller's own memory.
 *
 * ONNX Runtime writes a preallocated fetch in place, and GroupQueryAttention appends to its cache when past and present
 * are the same memory. But onnxruntime-node (1.30) then copies each fetched result into a fresh ArrayBuffer all the
 * same: 47 MB a token for the cache of a short conversation, two thirds of the step's time. It copies in the order of
 * the model's outputs and gives up at the first that is not a tensor, after the graph has run. So a model prepared
 * here has such an output in front, and the refusal is the signal that the run is complete. A binding that one day
 * accepts the output returns normally instead, and nothing else changes.
 */
import { PbfWriter } from 'pbf';
import type { HostTensor } from './tensor.js';
import type { Session } from './types.js';

const MARKER = 'results_are_in_place';
const REFUSAL = 'Non tensor type is temporarily not supported';

/** The serialised model with an empty sequence as its first output. */
export function prepareInPlace(model: Uint8Array): Uint8Array {
  const pbf = new PbfWriter();
  // Messages that follow each other merge in protobuf, lists by appending: this graph's output comes first.
  pbf.writeMessage(7, () => {
    pbf.writeMessage(1, () => {
      pbf.writeStringField(2, MARKER);
      pbf.writeStringField(4, 'SequenceEmpty');
    }, null);
    pbf.writeMessage(12, () => {
      pbf.writeStringField(1, MARKER);
      // TypeProto.sequence_type (4) of elem_type (1) tensor_type (1) with elem_type (1) float (1), shape left open.
      pbf.writeMessage(2, () => pbf.writeMessage(4, () => pbf.writeMessage(1, () => pbf.writeMessage(1, () => pbf.writeVarintField(1, 1), null), null), null), null);
    }, null);
  }, null);
  const fragment = pbf.finish();
  const prepared = new Uint8Array(fragment.byteLength + model.byteLength);
  prepared.set(fragment);
  prepared.set(model, fragment.byteLength);
  return prepared;
}

/**
 * Runs a prepared model. When it returns, the tensors in `results` hold the outputs of those names.
 * @throws Error with ONNX Runtime's reason when the run itself fails
 */
export async function runInPlace(
  session: Session,
  feeds: Readonly<Record<string, HostTensor>>,
  results: Readonly<Record<string, HostTensor>>,
): Promise<void> {
  try {
    await session.run(feeds, { [MARKER]: null, ...results });
  } catch (error) {
    if (!(error instanceof Error && error.message.includes(REFUSAL))) throw error;
  }
}
