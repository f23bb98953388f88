/** What a session, or one response, is asked to be: the fields of its event that have an effect here. */
import { nucleusOf } from '../api/chat-schemas.js';
import { checkLength } from '../chat/prompt.js';
import { DEFAULT_ANSWER_TOKENS, type Limits } from '../config.js';
import type { Sampling } from '../inference/messages.js';
import type { SessionSettings } from './protocol.js';

/** As the event has them: OpenAI's older clients have another name for one of them. */
export type SettingsFields = SessionSettings & { readonly max_response_output_tokens?: number | 'inf' };

/** @throws ApiError naming the field that is out of range */
export function settingsOf(fields: SettingsFields, limits: Limits, param: string): SessionSettings {
  const { instructions, temperature, top_p, seed } = fields;
  checkLength(instructions ?? '', limits, `${param}.instructions`);
  const most = fields.max_output_tokens ?? fields.max_response_output_tokens;
  const tokens = typeof most === 'number' ? Math.min(most, limits.answerTokens) : most;
  return {
    ...(instructions === undefined ? {} : { instructions }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(top_p === undefined ? {} : { top_p }),
    ...(seed === undefined ? {} : { seed }),
    ...(tokens === undefined ? {} : { max_output_tokens: tokens }),
  };
}

export function samplingOf(settings: SessionSettings, limits: Limits): Sampling {
  const tokens = settings.max_output_tokens ?? Math.min(DEFAULT_ANSWER_TOKENS, limits.answerTokens);
  return {
    maxTokens: tokens === 'inf' ? limits.answerTokens : tokens,
    temperature: settings.temperature ?? 0,
    topP: nucleusOf(settings.top_p),
    seed: settings.seed ?? null,
    frequencyPenalty: 0,
    presencePenalty: 0,
    stop: [],
    format: null,
    caption: null,
  };
}
