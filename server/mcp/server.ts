/** A server of the Model Context Protocol over some videos, for any transport. */
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { CallToolRequestSchema, ErrorCode, ListToolsRequestSchema, McpError, type CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import { Compile } from 'typebox/compile';
import { validationError } from '../errors.js';
import type { VideoTools } from './backend.js';
import { tools, type Tool } from './tools.js';

const instructions =
  'Videos and photos of a latentchat library: list them, search them for moments by words, ask about them, and have them described. Everything comes from what is seen; sound is not heard.';

const validators = new Map(tools.map((tool) => [tool.name, Compile(tool.input)]));

/** One server for one connection. @param describe the sentence for people that a failure is told in */
export function mcpServer(videos: VideoTools, version: string, describe: (error: unknown) => string): Server {
  // Its high-level sibling takes zod's schemas only; ours are JSON schemas by typebox, as everywhere else.
  const server = new Server({ name: 'latentchat', title: 'latentchat', version }, { capabilities: { tools: {} }, instructions });
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: tools.map(({ name, title, description, input, output, writes = false }) => ({
      name,
      title,
      description,
      inputSchema: input as unknown as { type: 'object' },
      outputSchema: output as unknown as { type: 'object' },
      annotations: { title, readOnlyHint: !writes, destructiveHint: false, openWorldHint: false },
    })),
  }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, { signal, sendNotification, _meta }): Promise<CallToolResult> => {
    const tool = tools.find(({ name }) => name === params.name);
    if (!tool) throw new McpError(ErrorCode.InvalidParams, `There is no tool "${params.name.slice(0, 100)}". There are: ${tools.map(({ name }) => name).join(', ')}.`);
    const token = _meta?.progressToken;
    const progress = (done: number, total: number, message: string): void => {
      if (token === undefined) return;
      // A caller that has gone away needs no news.
      void sendNotification({ method: 'notifications/progress', params: { progressToken: token, progress: done, total, message } }).catch(() => undefined);
    };
    try {
      const result = await tool.run({ videos, signal, progress }, checked(tool, params.arguments ?? {}));
      return { content: [{ type: 'text', text: JSON.stringify(result) }], structuredContent: result };
    } catch (error) {
      // What went wrong is the model's to read and mend, so it is a result and no protocol error.
      return { content: [{ type: 'text', text: describe(error) }], isError: true };
    }
  });
  return server;
}

/** @throws ApiError naming the argument that is wrong */
function checked(tool: Tool, input: unknown): unknown {
  const validator = validators.get(tool.name);
  if (validator && !validator.Check(input)) throw validationError(validator.Errors(input), 'arguments');
  return input;
}
