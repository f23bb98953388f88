/** Runs a server in a process of its own, for tests that kill it. Argument: its options as JSON. Tells its parent the address. */
import { startServer, type ServerOptions } from '../../server/index.js';

const server = await startServer(JSON.parse(process.argv[2] ?? '{}') as ServerOptions);
process.send?.(server.url);
process.once('SIGTERM', () => void server.close().then(() => process.exit(0)));
