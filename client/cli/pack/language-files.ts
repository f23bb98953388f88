/** A published language model as a pack's files: blocks in shards, layer after layer, so that memory holds one shard. */
import { layerTensors, tableTensors } from '../../../model/language/block-tensors.js';
import type { PublishedLanguage } from '../../../model/language/published/open.node.js';
import { writeSafetensors } from '../../../model/pack/index.js';
import type { PackWriter } from '../../../model/pack/write.node.js';
import type { HostTensor } from '../../../model/runtime/tensor.js';

/** Bytes after which a shard ends: it is written, and later checked and read, as a whole. */
const SHARD_BYTES = 256 * 1024 * 1024;

/**
 * Writes weights, tokenizer and chat template.
 * @param onLayer after each layer of the decoder
 * @throws the signal's reason between layers once it is aborted
 */
export async function writeLanguage(writer: PackWriter, language: PublishedLanguage, onLayer: (done: number, total: number) => void, signal: AbortSignal): Promise<void> {
  const { source } = language;
  const { layers } = source.config;
  let tensors = new Map<string, HostTensor>();
  let [bytes, shard] = [0, 1];
  const flush = async (): Promise<void> => {
    await writer.write(`language-${shard++}.safetensors`, writeSafetensors(tensors));
    tensors = new Map();
    bytes = 0;
  };
  for (let index = 0; index < layers; index++) {
    signal.throwIfAborted();
    for (const [name, tensor] of layerTensors(index, source.layer(index))) {
      tensors.set(name, tensor);
      bytes += tensor.data.byteLength;
    }
    if (bytes >= SHARD_BYTES) await flush();
    onLayer(index + 1, layers);
    // Quantising holds the thread: a signal gets its turn here.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const norm = source.norm();
  tensors.set('norm', { dtype: 'float32', dims: [norm.length], data: norm });
  await flush();
  const head = source.head();
  await writer.write('embedding.safetensors', writeSafetensors(new Map([...tableTensors('embed', source.embedding()), ...(head === null ? [] : tableTensors('head', head))])));
  await writer.write('tokenizer.json', language.tokenizer);
  await writer.write('chat_template.jinja', language.template);
}
