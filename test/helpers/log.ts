import Fastify from 'fastify';

/** The logger of a server that says nothing, for parts of one. */
export const { log: silentLog } = Fastify({ logger: { level: 'silent' } });
