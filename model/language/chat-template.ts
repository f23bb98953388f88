/** A model's chat template: messages to the text it was trained to continue. */
import { Template } from '@huggingface/jinja';

export interface TemplateMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** Tokens that templates write by name. */
export interface TemplateTokens {
  readonly bos?: string;
  readonly eos?: string;
}

const PROBE = 'latentchat';

export class ChatTemplate {
  private readonly template: Template;
  /** Templates of vision-language models take content as a list of parts; they find no text in a string. */
  private readonly parts: boolean;

  /** @param source a Jinja template, as models publish them */
  constructor(
    source: string,
    private readonly tokens: TemplateTokens = {},
  ) {
    this.template = new Template(source);
    this.parts = !this.rendersStrings();
  }

  /** The conversation, ending where the assistant's next words begin. */
  render(messages: readonly TemplateMessage[]): string {
    return this.write(this.parts ? messages.map(({ role, content }) => ({ role, content: [{ type: 'text', text: content }] })) : messages);
  }

  private write(messages: readonly unknown[]): string {
    const { bos = '', eos = '' } = this.tokens;
    return this.template.render({ messages, add_generation_prompt: true, bos_token: bos, eos_token: eos });
  }

  private rendersStrings(): boolean {
    try {
      return this.write([{ role: 'user', content: PROBE }]).includes(PROBE);
    } catch {
      return false;
    }
  }
}
