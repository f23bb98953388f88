/** The system's nginx as a proxy with TLS, in a folder of its own, for tests. */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import type { TestFolder } from './folder.js';

/** What nginx needs to write somewhere, whatever it was built to use. */
const PLACES = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

/** Debian's nginx lies where only root's PATH looks. */
const withSbin = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/local/sbin` };

/** Why there is no nginx with TLS to test with; null where there is. */
export function missingForNginx(): string | null {
  for (const [program, argument] of [['nginx', '-v'], ['openssl', 'version']] as const) {
    if (spawnSync(program, [argument], { env: withSbin }).status !== 0) return `${program} is not installed`;
  }
  return null;
}

export class Nginx {
  private constructor(
    private readonly process: ChildProcess,
    private readonly port: number,
    /** Of its certificate's issuer, PEM. */
    readonly authority: string,
  ) {}

  /** @param server what stands inside of the `server` block, beside its port and certificate */
  static async start(folder: TestFolder, port: number, server: string): Promise<Nginx> {
    const [key, certificate] = [path.join(folder.path, 'key.pem'), path.join(folder.path, 'certificate.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-keyout', key, '-out', certificate, ...subject], { stdio: 'ignore' });
    const places = PLACES.map((name) => {
      mkdirSync(path.join(folder.path, name));
      return `${name}_temp_path ${path.join(folder.path, name)};`;
    });
    const configuration = await folder.write(
      'nginx.conf',
      `daemon off; master_process off; pid ${path.join(folder.path, 'nginx.pid')}; error_log stderr error; events {}
http {
  access_log off; types { text/html html; text/css css; text/javascript js mjs; application/wasm wasm; } ${places.join(' ')}
  map $http_upgrade $connection_upgrade { default upgrade; '' close; }
  server { listen 127.0.0.1:${port} ssl; ssl_certificate ${certificate}; ssl_certificate_key ${key}; ${server} }
}`,
    );
    const child = spawn('nginx', ['-p', folder.path, '-e', 'stderr', '-c', configuration], { env: withSbin, stdio: ['ignore', 'ignore', 'inherit'] });
    const nginx = new Nginx(child, port, readFileSync(certificate, 'utf8'));
    await nginx.#listening();
    return nginx;
  }

  async stop(): Promise<void> {
    if (this.process.exitCode !== null) return;
    const ended = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    await ended;
  }

  async #listening(): Promise<void> {
    for (let attempt = 0; attempt < 200; attempt++) {
      const socket = connect(this.port, '127.0.0.1');
      const open = await Promise.race([once(socket, 'connect').then(() => true), once(socket, 'error').then(() => false)]).catch(() => false);
      socket.destroy();
      if (open) return;
      if (this.process.exitCode !== null) throw new Error('nginx ended before it listened');
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error('nginx does not listen');
  }
}

/** A port that nothing listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
