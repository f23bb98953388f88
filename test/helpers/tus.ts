/** The tus protocol by hand, so that tests decide where an upload is cut. */
import http from 'node:http';

const tus = { 'Tus-Resumable': '1.0.0' };

export interface CreateOptions {
  readonly name?: string;
  readonly length: number;
}

/** Starts an upload; gives the answer. */
export function createUpload(url: string, { name = 'clip.mp4', length }: CreateOptions): Promise<Response> {
  const filename = Buffer.from(name).toString('base64');
  return fetch(`${url}/v1/uploads`, { method: 'POST', headers: { ...tus, 'Upload-Length': String(length), 'Upload-Metadata': `filename ${filename}` } });
}

/** Sends bytes from an offset on. */
export function sendBytes(url: string, id: string, offset: number, bytes: Uint8Array): Promise<Response> {
  return fetch(`${url}/v1/uploads/${id}`, {
    method: 'PATCH',
    headers: { ...tus, 'Upload-Offset': String(offset), 'Content-Type': 'application/offset+octet-stream' },
    body: new Uint8Array(bytes),
  });
}

/** Sends bytes and breaks the connection after them, though the request announced `announced` bytes. */
export async function sendAndCut(url: string, id: string, offset: number, bytes: Uint8Array, announced: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const request = http.request(`${url}/v1/uploads/${id}`, {
      method: 'PATCH',
      headers: { ...tus, 'Upload-Offset': String(offset), 'Content-Type': 'application/offset+octet-stream', 'Content-Length': String(announced) },
    });
    request.on('error', () => resolve());
    request.write(bytes, () => setTimeout(() => request.destroy(), 100));
    request.on('close', () => resolve());
  });
}

/** How many bytes the server has of an upload, or the status where it says no. */
export async function uploadOffset(url: string, id: string): Promise<number | string> {
  const answer = await fetch(`${url}/v1/uploads/${id}`, { method: 'HEAD', headers: tus });
  return answer.ok ? Number(answer.headers.get('upload-offset')) : `status ${answer.status}`;
}

/** Uploads a file whole; gives the id of its video. */
export async function upload(url: string, bytes: Uint8Array, name = 'clip.mp4'): Promise<string> {
  const created = await createUpload(url, { name, length: bytes.length });
  if (created.status !== 201) throw new Error(`creation: ${created.status} ${await created.text()}`);
  const id = (created.headers.get('location') ?? '').split('/').pop() ?? '';
  const sent = await sendBytes(url, id, 0, bytes);
  if (sent.status !== 204) throw new Error(`upload: ${sent.status} ${await sent.text()}`);
  return id;
}
