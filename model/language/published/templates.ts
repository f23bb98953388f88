/** Prompt forms of models that were published without a chat template. */

export interface PromptForm {
  /** Jinja, as chat_template.jinja has it. */
  readonly template: string;
  /** What ends an answer, where no token does. */
  readonly stop: readonly string[];
}

export const TEMPLATES = {
  /** Vicuna as Video-LLaMA prompts it: turns begin with ### and the role. */
  vicuna: {
    template:
      "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] }}" +
      "{% else %}###{{ 'Human' if message['role'] == 'user' else 'Assistant' }}: {{ message['content'] }}{% endif %}{% endfor %}" +
      "{% if add_generation_prompt %}###Assistant:{% endif %}",
    stop: ['###'],
  },
  /** ChatML, as many fine-tuned models take it. */
  chatml: {
    template:
      "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    stop: ['<|im_end|>'],
  },
} as const satisfies Record<string, PromptForm>;

export type TemplateName = keyof typeof TEMPLATES;

export const TEMPLATE_NAMES = Object.keys(TEMPLATES) as TemplateName[];
