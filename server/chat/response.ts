/** A response, as OpenAI's newer API calls an answer: from the body of its request to the object that is sent. */
import type { Static } from 'typebox';
import type { ResponseFormat, ResponseRequest } from '../api/chat-schemas.js';
import type { ResponseOutputSchema, ResponseSchema } from '../api/response-schemas.js';
import { ApiError } from '../errors.js';
import { newId } from '../ids.js';
import type { ReplyOutcome, ReplyTask } from '../inference/messages.js';
import { taskOf, type AskedMessage, type Asking, type CompletionServices } from './completion.js';

export type ResponseBody = Static<typeof ResponseSchema>;
type OutputMessage = Static<typeof ResponseOutputSchema>;
type OutputText = OutputMessage['content'][number];

/** As `taskOf`, for the body of a response's request. */
export function responseTaskOf(
  services: CompletionServices,
  body: ResponseRequest,
  client: Asking,
  signal: AbortSignal,
): Promise<ReplyTask> {
  const { instructions, input, max_output_tokens, text } = body;
  const messages: AskedMessage[] = [];
  if (instructions)
    messages.push({
      message: { role: 'system', content: instructions },
      param: 'instructions',
      content: 'instructions',
    });
  if (typeof input === 'string')
    messages.push({ message: { role: 'user', content: input }, param: 'input', content: 'input' });
  else {
    for (const [index, item] of input.entries()) {
      if (item.type === 'reasoning') continue;
      const { role, content } = item;
      messages.push({ message: { role, content }, param: `input[${index}]`, content: `input[${index}].content` });
    }
  }
  if (messages.at(-1)?.param === 'instructions') throw new ApiError('empty_question', { param: 'input' });
  const maxTokens = max_output_tokens ?? null;
  const format = { value: formatOf(text?.format ?? null), param: 'text.format.schema' };
  return taskOf(services, { ...body, messages, maxTokens, format }, client, signal);
}

type TextFormat = NonNullable<NonNullable<ResponseRequest['text']>['format']>;

function formatOf(format: TextFormat | null): ResponseFormat | null {
  if (format?.type !== 'json_schema') return format;
  const { type, ...json_schema } = format;
  return { type, json_schema };
}

/** A response from its beginning to its end. */
export class ResponseDraft {
  readonly #body: ResponseBody;
  readonly #itemId = newId('msg');

  constructor(request: ResponseRequest, task: ReplyTask, model: string) {
    const { maxTokens, temperature } = task.sampling;
    this.#body = {
      id: newId('resp'),
      object: 'response',
      created_at: Math.floor(Date.now() / 1000),
      completed_at: null,
      status: 'in_progress',
      background: false,
      error: null,
      incomplete_details: null,
      instructions: request.instructions ?? null,
      max_output_tokens: maxTokens,
      max_tool_calls: null,
      model,
      output: [],
      parallel_tool_calls: request.parallel_tool_calls ?? true,
      previous_response_id: null,
      reasoning: { effort: null, summary: null },
      service_tier: 'default',
      store: false,
      temperature,
      text: { format: request.text?.format ?? { type: 'text' } },
      tool_choice: request.tool_choice ?? 'auto',
      tools: [],
      top_logprobs: 0,
      top_p: request.top_p ?? 1,
      truncation: 'auto',
      usage: null,
      user: null,
      metadata: request.metadata ?? {},
    };
  }

  get body(): ResponseBody {
    return this.#body;
  }

  get itemId(): string {
    return this.#itemId;
  }

  item(status: OutputMessage['status'], content: OutputText[] = []): OutputMessage {
    return { id: this.#itemId, type: 'message', status, role: 'assistant', content };
  }

  /** @throws ApiError `cancelled` for an answer that was given up */
  completed(outcome: ReplyOutcome): ResponseBody {
    if (outcome.finish === 'cancelled') throw new ApiError('cancelled');
    const whole = outcome.finish === 'stop';
    const status = whole ? 'completed' : 'incomplete';
    const { prompt_tokens, cached_tokens, completion_tokens } = outcome.usage;
    return {
      ...this.#body,
      status,
      completed_at: whole ? Math.floor(Date.now() / 1000) : null,
      incomplete_details: whole ? null : { reason: 'max_output_tokens' },
      output: [this.item(status, [outputText(outcome)])],
      usage: {
        input_tokens: prompt_tokens,
        input_tokens_details: { cached_tokens },
        output_tokens: completion_tokens,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: prompt_tokens + completion_tokens,
      },
    };
  }

  failed({ code, message }: ApiError): ResponseBody {
    return { ...this.#body, status: 'failed', error: { code, message } };
  }
}

export function outputText({ text, annotations, confidence }: Pick<ReplyOutcome, 'text' | 'annotations' | 'confidence'>): OutputText {
  return { type: 'output_text', text, annotations: [...annotations], confidence, logprobs: [] };
}
