/**
 * A worker in place of the language model's, which answers a question with its own text, and really hangs: "hang" never gives the thread
 * back, "once FILE" only as long as FILE is not there, "begun hang" after a first piece of text. "native" holds the thread as native code
 * does, for seconds, and says so.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import type { FromInference, InferenceWorkerData, ToInference } from '../../server/inference/messages.js';
import { endMessage } from '../../server/workers/host.js';
import { hosted } from '../../server/workers/pulse.js';

const { onNative } = hosted<InferenceWorkerData>();
const send = (message: FromInference): void => parentPort?.postMessage(message);

function hang(): never {
  for (;;);
}

function hold(seconds: number): void {
  const until = performance.now() + 1000 * seconds;
  while (performance.now() < until);
}

parentPort?.on('message', (message: ToInference | typeof endMessage) => {
  if (message === endMessage) process.exit();
  if (message.type !== 'reply') return;
  const { id, task } = message;
  const [part] = task.messages[0]?.content ?? [];
  const text = part?.type === 'text' ? part.text : '';
  const [word, file = ''] = text.split(' ');
  send({ type: 'started', id });
  if (word === 'hang') hang();
  if (word === 'once' && !existsSync(file)) {
    writeFileSync(file, '');
    hang();
  }
  if (word === 'native') {
    onNative(true);
    hold(3);
    onNative(false);
  }
  if (word === 'wait') return;
  send({ type: 'delta', id, text });
  if (word === 'begun') {
    // The piece has to leave the thread first.
    setTimeout(hang, 50);
    return;
  }
  send({ type: 'done', id, outcome: { text, finish: 'stop', usage: { prompt_tokens: 1, cached_tokens: 0, completion_tokens: 1 }, annotations: [], confidence: null } });
});
send({ type: 'ready' });
