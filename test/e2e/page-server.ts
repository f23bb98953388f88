/** A server in a process of its own, for tests that open the page, break the connection or kill it. Argument: its options as JSON. */
import { startServer, type ServerOptions } from '../../server/index.js';

const server = await startServer(JSON.parse(process.argv[2] ?? '{}') as ServerOptions);
process.send?.(server.url);
process.on('SIGTERM', () => void server.close().then(() => process.exit(0)));
