/** A thread that captions one source after another (see workers.ts). */
import { parentPort, workerData } from 'node:worker_threads';
import { Models } from '../models.js';
import { captionSource } from './caption-source.js';
import type { CaptionWorkerData, FromWorker, ToWorker } from './workers.js';

const { models: options, settings, run } = workerData as CaptionWorkerData;
const port = parentPort;
if (port === null) throw new Error('this file is run by workers.ts');
const post = (message: FromWorker): void => port.postMessage(message);
const stop = new AbortController();
const models = await Models.open(options);
await Promise.all([models.tower(), models.chat()]);
let running: Promise<void> = Promise.resolve();

port.on('message', (message: ToWorker) => {
  if (message.type === 'task') {
    running = (async () => {
      for await (const line of captionSource(models, message.task, settings, run, stop.signal)) post({ type: 'line', line });
      post({ type: 'done' });
    })();
    // Aborted by `stop` below; anything else that is thrown ends the thread and is heard on the other side.
    running.catch((error: unknown) => {
      if (!stop.signal.aborted) throw error;
    });
    return;
  }
  stop.abort();
  void running
    .catch(() => undefined)
    .then(() => models.release())
    .then(() => port.close());
});
post({ type: 'ready' });
