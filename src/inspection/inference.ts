import type { Inference } from '../decision/ports.ts';
import { type DialectFields, dialectFields, looseName } from './dialects.ts';
import type { JsonDocument } from './json-body.ts';
import type { JsonMember } from './json-scanner.ts';
import { isRefusal, malformed, type Refusal } from './refusal.ts';

/**
 * The typed fields of an inference request's body. A field of the wrong type, a spelling that a tolerant reader takes
 * for a field, and two limits that differ are refused; `null` means absent where the OpenAI API says so.
 */
export function parseInference(
  document: JsonDocument,
  dialect: DialectFields = dialectFields(undefined),
): Inference | Refusal {
  const { members } = document;
  if (members === undefined) return malformed('the JSON body is no object');
  const fault = keyFault(document, members, dialect);
  if (fault !== undefined) return fault;
  const bodies = withParameters(document, members, dialect);
  if (isRefusal(bodies)) return bodies;
  const inference: Mutable<Inference> = {};

  const model = members.get('model');
  if (model !== undefined) {
    const name = model.first === QUOTE ? document.textOf(model) : '';
    if (!isModelName(name)) return wrongType('model');
    inference.model = name;
  }

  const stream = agreed(bodies, STREAM, parseFlag);
  if (isRefusal(stream)) return stream;
  if (stream !== undefined) inference.stream = stream;

  const maxTokens = agreed(bodies, dialect.maxTokens, parseCount);
  if (isRefusal(maxTokens)) return maxTokens;
  if (maxTokens !== undefined) inference.max_tokens = maxTokens;

  for (const name of dialect.candidates) {
    const candidates = parseCount(document, given(members.get(name)));
    if (candidates === WRONG || candidates === 0) return wrongType(name);
    if (candidates !== undefined) inference.candidates = Math.max(candidates, inference.candidates ?? 0);
  }

  const messages = dialect.messages === undefined ? undefined : members.get(dialect.messages);
  if (messages !== undefined) {
    const isText = messages.first === QUOTE && dialect.messagesMayBeText;
    if (messages.first !== OPEN_BRACKET && !isText) return wrongType(dialect.messages ?? '');
    inference.message_count = isText ? 1 : messages.elements;
  }
  return withEstimate(inference, members, dialect);
}

/** Whether a text can name a model: no spaces, controls or quotes, so that it has one spelling everywhere. */
export function isModelName(text: string): boolean {
  return MODEL_NAME.test(text);
}

type Mutable<T> = { -readonly [field in keyof T]: T[field] };
type Members = ReadonlyMap<string, JsonMember>;

/** One object in which fields may stand. */
interface Body {
  readonly document: JsonDocument;
  readonly members: Members;
}

const MODEL_NAME = /^[A-Za-z0-9][A-Za-z0-9._:/@+~-]{0,255}$/;
/** A name of which no other member can be a twin in another case. */
const LOWER_CASE = /^[a-z0-9_]*$/;
const STREAM = ['stream'];
const BYTES_PER_TOKEN = 4;

const QUOTE = 0x22;
const OPEN_BRACKET = 0x5b;
const OPEN_BRACE = 0x7b;
const LETTER_F = 0x66;
const LETTER_N = 0x6e;
const LETTER_T = 0x74;
const WRONG = -1;

/** What some reader takes for another key: those that differ in case only, and other spellings of a field. */
function keyFault({ hasProtoKey }: JsonDocument, members: Members, { known }: DialectFields): Refusal | undefined {
  if (hasProtoKey) return malformed('the JSON body has a key `__proto__`');
  let folds: Set<string> | undefined;
  for (const name of members.keys()) {
    if (LOWER_CASE.test(name)) continue;
    if (known.has(looseName(name))) return malformed('the JSON body has a twin of a field in another spelling');
    const fold = name.toUpperCase().toLowerCase();
    folds ??= new Set();
    if (folds.has(fold) || (fold !== name && members.has(fold))) {
      return malformed('the JSON body has two keys that differ in case only');
    }
    folds.add(fold);
  }
  return undefined;
}

function withParameters(document: JsonDocument, members: Members, dialect: DialectFields): readonly Body[] | Refusal {
  const body = { document, members };
  const parameters = dialect.parameters === undefined ? undefined : given(members.get(dialect.parameters));
  if (parameters === undefined) return [body];
  if (parameters.first !== OPEN_BRACE) return wrongType('parameters');
  const nested = document.nested(parameters);
  if (isRefusal(nested)) return nested;
  if (nested.members === undefined) return wrongType('parameters');
  const fault = keyFault(nested, nested.members, dialect);
  return fault ?? [body, { document: nested, members: nested.members }];
}

function given(member: JsonMember | undefined): JsonMember | undefined {
  return member?.first === LETTER_N ? undefined : member;
}

/** Where two of a field's names or places say different things, nobody knows which one holds: that is refused. */
function agreed<T extends number | boolean>(
  bodies: readonly Body[],
  names: readonly string[],
  parse: (document: JsonDocument, member: JsonMember | undefined) => T | typeof WRONG | undefined,
): T | undefined | Refusal {
  let found: T | undefined;
  for (const { document, members } of bodies) {
    for (const name of names) {
      const value = parse(document, given(members.get(name)));
      if (value === undefined) continue;
      if (value === WRONG) return wrongType(name);
      if (found !== undefined && value !== found)
        return malformed(`the JSON body names \`${name}\` and its like differently`);
      found = value;
    }
  }
  return found;
}

function parseFlag(_document: JsonDocument, member: JsonMember | undefined): boolean | typeof WRONG | undefined {
  if (member === undefined) return undefined;
  return member.first === LETTER_T || member.first === LETTER_F ? member.first === LETTER_T : WRONG;
}

const NATURAL = /^(?:0|[1-9][0-9]{0,15})$/;

/** Digits only: what a reader of integers and a reader of floats agree on. {@link WRONG} for everything else. */
function parseCount(document: JsonDocument, member: JsonMember | undefined): number | undefined {
  if (member === undefined) return undefined;
  if (member.end - member.start > 16) return WRONG;
  const source = document.sourceOf(member);
  const count = NATURAL.test(source) ? Number(source) : WRONG;
  return Number.isSafeInteger(count) ? count : WRONG;
}

/** A prompt may also be a list of token ids, each of which is one token. */
function withEstimate(
  inference: Mutable<Inference>,
  members: Members,
  { prompts }: DialectFields,
): Inference | Refusal {
  let textBytes = 0;
  let tokenIds = 0;
  let seen = false;
  for (const field of prompts) {
    const member = given(members.get(field));
    if (member === undefined) continue;
    if (member.first !== QUOTE && member.first !== OPEN_BRACKET) return wrongType(field);
    seen = true;
    textBytes += member.textBytes;
    tokenIds += member.numbers;
  }
  if (seen) inference.estimated_prompt_tokens = Math.ceil(textBytes / BYTES_PER_TOKEN) + tokenIds;
  return inference;
}

function wrongType(field: string): Refusal {
  return malformed(`the field \`${field}\` of the JSON body has the wrong type or range`);
}
