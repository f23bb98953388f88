/** What a client's test is told by the test that starts it: where the server is, and what it has. */
import assert from 'node:assert/strict';

function told(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set: this file is run by test/e2e/clients.test.ts`);
  return value;
}

/** Base address, with /v1. */
export const baseURL = told('LATENTCHAT_CLIENT_BASE');
/** `video://<id>` of the demo. */
export const video = told('LATENTCHAT_CLIENT_VIDEO');
export const model = told('LATENTCHAT_CLIENT_MODEL');

/** A PNG of one red pixel: the smallest photo. */
export const photo = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==',
  'base64',
);
