import { isObject } from '../../decision/json.ts';

/** Whose names a usage object has. */
export type UsageShape = 'openai_chat' | 'openai_responses' | 'anthropic' | 'gemini';

/** What one call used, in whole tokens; each token counts in one of the three. */
export interface Usage {
  readonly shape: UsageShape;
  /** Read by the model and not found in a cache. */
  readonly input: number;
  readonly cached: number;
  /** Produced, what was only thought included. */
  readonly output: number;
}

/** Why a usage object is not believed. Names fields of ours, and never what was sent. */
export interface UsageFault {
  readonly fault: string;
  /** Absent when no one field is to blame. */
  readonly field?: string;
}

/**
 * Reads the usage object of an OpenAI (chat, completions, embeddings, responses), Anthropic or Gemini answer. What is
 * missing, absurd, contradicts itself or mixes two of them is refused; other members are ignored.
 */
export function parseUsage(value: unknown): Usage | UsageFault {
  if (!isObject(value)) return { fault: 'the usage is no object' };
  const wrapped = Object.hasOwn(value, 'usageMetadata');
  const inner = wrapped ? value['usageMetadata'] : value;
  if (!isObject(inner)) return { fault: 'is no object', field: 'usageMetadata' };
  const shapes = SHAPES.filter(({ marks }) => marks.some((mark) => Object.hasOwn(inner, mark)));
  const [shape, ...others] = wrapped ? [...shapes, ...SHAPES.filter((one) => isPresent(value, one))] : shapes;
  if (shape === undefined) return sharedShape(inner);
  if (others.some((other) => other !== shape)) return { fault: 'the usage mixes the fields of two APIs' };
  return shape.read(inner);
}

export function isUsageFault(value: object): value is UsageFault {
  return 'fault' in value;
}

/** More tokens than any call has. */
const MOST_TOKENS = 1e12;

interface Shape {
  /** Names that no other shape has. */
  readonly marks: readonly string[];
  readonly read: (fields: Fields) => Usage | UsageFault;
}

type Fields = { readonly [name: string]: unknown };

const CHAT: Shape = {
  marks: ['prompt_tokens', 'completion_tokens', 'prompt_tokens_details', 'completion_tokens_details'],
  read: (fields) =>
    readWhole(fields, {
      shape: 'openai_chat',
      input: 'prompt_tokens',
      output: 'completion_tokens',
      details: 'prompt_tokens_details',
      outputDetails: 'completion_tokens_details',
    }),
};

const RESPONSES: Shape = {
  marks: ['input_tokens_details', 'output_tokens_details'],
  read: (fields) =>
    readWhole(fields, {
      shape: 'openai_responses',
      input: 'input_tokens',
      output: 'output_tokens',
      details: 'input_tokens_details',
      outputDetails: 'output_tokens_details',
    }),
};

const ANTHROPIC: Shape = {
  marks: ['cache_read_input_tokens', 'cache_creation_input_tokens', 'cache_creation', 'server_tool_use'],
  read: readAnthropic,
};

const GEMINI: Shape = {
  marks: [
    'promptTokenCount',
    'candidatesTokenCount',
    'thoughtsTokenCount',
    'cachedContentTokenCount',
    'toolUsePromptTokenCount',
    'totalTokenCount',
  ],
  read: readGemini,
};

const SHAPES: readonly Shape[] = [CHAT, RESPONSES, ANTHROPIC, GEMINI];

function isPresent(fields: Fields, { marks }: Shape): boolean {
  return marks.some((mark) => Object.hasOwn(fields, mark));
}

/** `input_tokens` and `output_tokens` alone mean the same to OpenAI's responses and to Anthropic. */
function sharedShape(fields: Fields): Usage | UsageFault {
  if (Object.hasOwn(fields, 'input_tokens') || Object.hasOwn(fields, 'output_tokens')) return RESPONSES.read(fields);
  return { fault: 'the usage has the fields of no known API: OpenAI, Anthropic or Gemini' };
}

interface WholeNames {
  readonly shape: UsageShape;
  readonly input: string;
  readonly output: string;
  readonly details: string;
  readonly outputDetails: string;
}

/** OpenAI's: the input counts the cached tokens too. */
function readWhole(fields: Fields, names: WholeNames): Usage | UsageFault {
  if (isFromOther(fields, names)) return { fault: 'the usage mixes the fields of two APIs' };
  const input = readCount(fields, names.input);
  if (typeof input !== 'number') return input;
  const total = readOptional(fields, 'total_tokens');
  if (typeof total === 'object') return total;
  // An embedding has no output, and says so by its total.
  const output = readOptional(fields, names.output) ?? (total === input ? 0 : missing(names.output));
  if (typeof output !== 'number') return output;
  if (total !== undefined && total !== input + output) return disagrees('total_tokens');
  const cached = readPart(fields, names.details, 'cached_tokens', { name: names.input, count: input });
  if (typeof cached !== 'number') return cached;
  const reasoning = readPart(fields, names.outputDetails, 'reasoning_tokens', { name: names.output, count: output });
  if (typeof reasoning !== 'number') return reasoning;
  return { shape: names.shape, input: input - cached, cached, output };
}

/** What a member of the details says; it is counted in the whole, and cannot be more. */
function readPart(
  fields: Fields,
  name: string,
  member: string,
  whole: { readonly name: string; readonly count: number },
): number | UsageFault {
  const details = given(fields, name);
  if (details === undefined) return 0;
  if (!isObject(details)) return { fault: 'is no object', field: name };
  const field = `${name}.${member}`;
  const part = readOptional(details, member, field) ?? 0;
  if (typeof part !== 'number') return part;
  return part > whole.count ? { fault: `is more than \`${whole.name}\``, field } : part;
}

/** The names that both of OpenAI's shapes could have beside their marks. */
function isFromOther(fields: Fields, { shape }: WholeNames): boolean {
  if (shape !== 'openai_chat') return false;
  return Object.hasOwn(fields, 'input_tokens') || Object.hasOwn(fields, 'output_tokens');
}

/** Anthropic's: the input counts neither what was read from the cache nor what was written to it. */
function readAnthropic(fields: Fields): Usage | UsageFault {
  const input = readCount(fields, 'input_tokens');
  if (typeof input !== 'number') return input;
  const output = readCount(fields, 'output_tokens');
  if (typeof output !== 'number') return output;
  const written = readWritten(fields);
  if (typeof written !== 'number') return written;
  const cached = readOptional(fields, 'cache_read_input_tokens') ?? 0;
  if (typeof cached !== 'number') return cached;
  const total = readOptional(fields, 'total_tokens');
  if (typeof total === 'object') return total;
  if (total !== undefined && total !== input + written + cached + output) return disagrees('total_tokens');
  return { shape: 'anthropic', input: input + written, cached, output };
}

/** What was written to the cache: one number, and by lifetime what it is the sum of. */
function readWritten(fields: Fields): number | UsageFault {
  const written = readOptional(fields, 'cache_creation_input_tokens');
  const parts = given(fields, 'cache_creation');
  if (parts === undefined || typeof written === 'object') return written ?? 0;
  if (!isObject(parts)) return { fault: 'is no object', field: 'cache_creation' };
  let sum: number | undefined;
  for (const name of Object.keys(parts)) {
    const part = readOptional(parts, name, LIFETIMES.has(name) ? `cache_creation.${name}` : 'cache_creation');
    if (typeof part === 'object') return part;
    if (part !== undefined) sum = (sum ?? 0) + part;
  }
  if (written !== undefined && sum !== undefined && written !== sum) return disagrees('cache_creation_input_tokens');
  return written ?? sum ?? 0;
}

const LIFETIMES: ReadonlySet<string> = new Set(['ephemeral_5m_input_tokens', 'ephemeral_1h_input_tokens']);

/** Gemini's JSON leaves out zeros; the total then says whether something is missing. */
function readGemini(fields: Fields): Usage | UsageFault {
  if (Object.hasOwn(fields, 'input_tokens') || Object.hasOwn(fields, 'output_tokens')) {
    return { fault: 'the usage mixes the fields of two APIs' };
  }
  const prompt = readCount(fields, 'promptTokenCount');
  if (typeof prompt !== 'number') return prompt;
  const total = readOptional(fields, 'totalTokenCount');
  if (typeof total === 'object') return total;
  const absent = total === undefined ? missing('candidatesTokenCount') : 0;
  const candidates = readOptional(fields, 'candidatesTokenCount') ?? absent;
  if (typeof candidates !== 'number') return candidates;
  const thoughts = readOptional(fields, 'thoughtsTokenCount') ?? 0;
  if (typeof thoughts !== 'number') return thoughts;
  const tools = readOptional(fields, 'toolUsePromptTokenCount') ?? 0;
  if (typeof tools !== 'number') return tools;
  const cached = readOptional(fields, 'cachedContentTokenCount') ?? 0;
  if (typeof cached !== 'number') return cached;
  if (cached > prompt) return { fault: 'is more than `promptTokenCount`', field: 'cachedContentTokenCount' };
  if (total !== undefined && total !== prompt + candidates + thoughts + tools) return disagrees('totalTokenCount');
  return { shape: 'gemini', input: prompt - cached + tools, cached, output: candidates + thoughts };
}

/** `null` is what clients that fill in every field write for what is not there. */
function given(fields: Fields, name: string): unknown {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
  return value === null ? undefined : value;
}

function readCount(fields: Fields, name: string): number | UsageFault {
  return readOptional(fields, name) ?? missing(name);
}

function readOptional(fields: Fields, name: string, field = name): number | undefined | UsageFault {
  const value = given(fields, name);
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) return { fault: 'is no integer', field };
  if (value < 0) return { fault: 'is negative', field };
  // Minus zero is a number of tokens too, and becomes zero.
  return value > MOST_TOKENS ? { fault: `is above ${MOST_TOKENS}`, field } : value + 0;
}

function missing(field: string): UsageFault {
  return { fault: 'is missing', field };
}

function disagrees(field: string): UsageFault {
  return { fault: 'is not the sum of its parts', field };
}
