import assert from 'node:assert/strict';
import type { Video } from '../../server/api/schemas.js';
import type { ErrorBody } from '../../server/errors.js';
import { eventually } from './eventually.js';

/** The error of an answer: checks the one shape and gives code and status. */
export async function errorOf(answer: Response): Promise<{ status: number; code: string; message: string; param: string | null }> {
  const { error } = (await answer.json()) as ErrorBody;
  assert.deepEqual(Object.keys(error), ['code', 'message', 'type', 'param']);
  return { status: answer.status, code: error.code, message: error.message, param: error.param };
}

export async function getVideo(url: string, id: string): Promise<Video> {
  const answer = await fetch(`${url}/v1/videos/${id}`);
  assert.equal(answer.status, 200, await answer.clone().text());
  return (await answer.json()) as Video;
}

/** Waits until the video fits; fails after `limit_s` seconds, showing it. */
export function untilVideo(url: string, id: string, fits: (video: Video) => boolean, limit_s = 150): Promise<Video> {
  return eventually(() => getVideo(url, id), fits, 'the video', { limit_s, every_ms: 50 });
}
