import path from 'node:path';
import { defaultPackFolder } from '../../model/pack/open.node.js';
import type { Video } from '../../server/api/schemas.js';
import { TestFolder } from './folder.js';
import { ServerProcess } from './server-process.js';

/** Where the demo video lies. */
export const demoDir = path.join(defaultPackFolder(), '..', 'demo');

/** A server with the demo video, over a data folder of its own. */
export class DemoServer {
  private constructor(
    readonly folder: TestFolder,
    readonly process: ServerProcess,
    /** Id of the demo video. */
    readonly demo: string,
  ) {}

  static async start(options: ConstructorParameters<typeof ServerProcess>[1] = {}): Promise<DemoServer> {
    const folder = await TestFolder.make();
    const server = new ServerProcess(folder.path, { demoDir, ...options });
    await server.start();
    const { data } = (await (await fetch(`${server.url}/v1/videos`)).json()) as { data: Video[] };
    return new DemoServer(folder, server, data[0]?.id ?? '');
  }

  async stop(): Promise<void> {
    await this.process.stop();
    await this.folder.remove();
  }
}
