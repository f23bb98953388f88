/** A model's chat template: messages to the text it was trained to continue. */
import { Template } from '@huggingface/jinja';

export interface TemplateMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export class ChatTemplate {
  private readonly template: Template;

  /** @param source a Jinja template, as models publish them */
  constructor(source: string) {
    this.template = new Template(source);
  }

  /** The conversation, ending where the assistant's next words begin. */
  render(messages: readonly TemplateMessage[]): string {
    return this.template.render({ messages, add_generation_prompt: true });
  }
}
