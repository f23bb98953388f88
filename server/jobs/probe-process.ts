/** Looks at one uploaded file in a process of its own, so that a file made to break a decoder breaks nothing else. */
import { open, readFile } from 'node:fs/promises';
import { inspectContainer } from '../../model/container/index.js';
import { openFrames } from '../../model/frames/open.node.js';
import { ModelPack } from '../../model/pack/open.node.js';
import { versionOf } from '../store/files.js';
import { looksLikeContainer } from '../uploads/type.js';
import { describeFailure } from './failure.js';
import { factsOf, mediaOf } from './container-facts.js';
import type { ProbeReport, ProbeTask } from './messages.js';

async function probe(task: ProbeTask): Promise<ProbeReport> {
  const head = await readStart(task.file);
  if (looksLikeContainer(head)) return probeContainer(task);
  const source = await openFrames(task.file);
  try {
    const { kind, width, height, frames, duration_s } = source.info;
    return { type: 'media', kind, media: { width, height, frames, duration_s } };
  } finally {
    await source.close();
  }
}

async function probeContainer(task: ProbeTask): Promise<ProbeReport> {
  const handle = await open(task.file, 'r');
  try {
    const stats = await handle.stat({ bigint: true });
    if (stats.size > BigInt(task.containerBytes)) {
      const message = `The container has ${stats.size} bytes, more than the limit of ${task.containerBytes}.`;
      return { type: 'failed', code: 'media_too_large', message, detail: message };
    }
    const { container } = inspectContainer(await readFile(handle));
    const { manifest } = await ModelPack.open(task.packDir);
    if (container.meta.pack.feature_space !== manifest.feature_space) {
      const { id, feature_space } = container.meta.pack;
      const message =
        `The container was made for the model pack "${id}" (feature space "${feature_space}"); this server runs ` +
        `"${manifest.id}" ("${manifest.feature_space}"). Start a server with that pack, or encode the video again.`;
      return { type: 'failed', code: 'pack_mismatch', message, detail: message };
    }
    return {
      type: 'container',
      facts: factsOf(container, versionOf(stats), container.network === null ? 'latents' : 'final', Number(stats.size), null),
      kind: container.meta.frames === 1 ? 'photo' : 'video',
      media: mediaOf(container),
      sourceName: container.meta.source.name,
      sourceBytes: container.meta.source.bytes,
    };
  } finally {
    await handle.close();
  }
}

async function readStart(file: string): Promise<Uint8Array> {
  const handle = await open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(64), 0, 64, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

process.once('message', (task: ProbeTask) => {
  probe(task)
    .catch((error: unknown) => describeFailure(error, task.file, 'unsupported_media'))
    .then((report) => process.send?.(report, () => process.exit(0)));
});
process.once('disconnect', () => process.exit(0));
