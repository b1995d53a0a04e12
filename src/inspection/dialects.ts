/** Which members of a body say what, in one API of model servers. */
export interface DialectFields {
  /** Every one that is there must say the same: servers of several ages are about, and each reads its own. */
  readonly maxTokens: readonly string[];
  /** The greatest of them counts. */
  readonly candidates: readonly string[];
  /** The list of messages; a text in its place is one message, where `messagesMayBeText`. */
  readonly messages: string | undefined;
  readonly messagesMayBeText: boolean;
  /** Members whose text the model reads: a text or a list. */
  readonly prompts: readonly string[];
  /** An object that holds more of the same members. */
  readonly parameters: string | undefined;
  /** All the names above, `model` and `stream`, as {@link looseName} writes them. */
  readonly known: ReadonlySet<string>;
}

export const DIALECT_NAMES = [
  'openai_chat',
  'openai_completions',
  'openai_embeddings',
  'openai_responses',
  'anthropic_messages',
  'kserve_v2',
] as const;

export type Dialect = (typeof DIALECT_NAMES)[number];

/** The members of a dialect; without one, those of the OpenAI-style APIs of chat and text together. */
export function dialectFields(dialect: Dialect | undefined): DialectFields {
  return dialect === undefined ? ANY : DIALECTS[dialect];
}

/** A name as the most tolerant readers compare it: no case (Unicode simple folding, as Go's), no `_` and `-`. */
export function looseName(name: string): string {
  return name.toUpperCase().toLowerCase().replace(DELIMITERS, '');
}

const DELIMITERS = /[_-]/g;

function fields(parts: Partial<Omit<DialectFields, 'known'>>): DialectFields {
  const { maxTokens = [], candidates = [], messages, messagesMayBeText = false, prompts = [], parameters } = parts;
  const names = ['model', 'stream', ...maxTokens, ...candidates, ...prompts];
  if (messages !== undefined) names.push(messages);
  if (parameters !== undefined) names.push(parameters);
  return {
    maxTokens,
    candidates,
    messages,
    messagesMayBeText,
    prompts,
    parameters,
    known: new Set(names.map(looseName)),
  };
}

const ANY = fields({
  maxTokens: ['max_tokens', 'max_completion_tokens'],
  candidates: ['n'],
  messages: 'messages',
  prompts: ['messages', 'prompt', 'input', 'system', 'instructions'],
});

const DIALECTS: Readonly<Record<Dialect, DialectFields>> = {
  openai_chat: fields({
    maxTokens: ['max_tokens', 'max_completion_tokens'],
    candidates: ['n'],
    messages: 'messages',
    prompts: ['messages'],
  }),
  // `best_of` candidates are produced and paid for, though only `n` of them are sent.
  openai_completions: fields({
    maxTokens: ['max_tokens'],
    candidates: ['n', 'best_of'],
    prompts: ['prompt', 'suffix'],
  }),
  openai_embeddings: fields({ prompts: ['input'] }),
  openai_responses: fields({
    maxTokens: ['max_output_tokens'],
    messages: 'input',
    messagesMayBeText: true,
    prompts: ['input', 'instructions'],
  }),
  anthropic_messages: fields({ maxTokens: ['max_tokens'], messages: 'messages', prompts: ['messages', 'system'] }),
  kserve_v2: fields({ maxTokens: ['max_tokens'], prompts: ['inputs', 'text_input'], parameters: 'parameters' }),
};
