/** Looks at one uploaded file in a process of its own, so that a file made to break a decoder breaks nothing else. */
import { open, readFile } from 'node:fs/promises';
import { openFrames } from '../../model/frames/open.node.js';
import { versionOf } from '../store/files.js';
import { looksLikeContainer } from '../uploads/type.js';
import { behaveAsChild } from './child-side.js';
import { reportOnContainer } from './container-report.js';
import { describeFailure } from './failure.js';
import type { ProbeReport, ProbeTask } from './messages.js';

async function probe(task: ProbeTask): Promise<ProbeReport> {
  const head = await readStart(task.file);
  if (looksLikeContainer(head)) return probeContainer(task);
  const source = await openFrames(task.file, { name: task.name });
  try {
    const { info: { kind, ...info }, warnings } = source;
    const { width, height, frames, duration_s } = info;
    return { type: 'media', kind, media: { width, height, frames, duration_s, warnings } };
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
    return await reportOnContainer(await readFile(handle), versionOf(stats), task.packDir);
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
  void probe(task)
    .catch((error: unknown) => describeFailure(error, task.file, 'unsupported_media'))
    .then((report) => process.send?.(report, () => process.exit(0)));
});
behaveAsChild();
