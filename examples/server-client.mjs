// Uploads a video to a server and asks about it: node examples/server-client.mjs http://127.0.0.1:7860 clip.mp4 "What happens first?"
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { LatentChat, LatentChatError } from 'latentchat/sdk';

const [baseUrl, file, question = 'What is happening?'] = process.argv.slice(2);
if (file === undefined) throw new Error('Name a server and a video.');
const client = new LatentChat({ baseUrl, ...(process.env.LATENTCHAT_KEY ? { apiKey: process.env.LATENTCHAT_KEY } : {}) });

try {
  const uploaded = await client.upload(await readFile(file), { name: path.basename(file) });
  await client.videos.untilAskable(uploaded.id, { onProgress: ({ state }) => process.stderr.write(`${state}\n`) });
  for await (const piece of client.chat(uploaded.id, question)) process.stdout.write(piece);
  process.stdout.write('\n');
} catch (error) {
  if (!(error instanceof LatentChatError)) throw error;
  console.error(`${error.message} (${error.code})`);
  process.exitCode = 1;
}
