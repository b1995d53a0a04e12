import type { AccessRequest } from '../decision/access-request.ts';
import type { Inference } from '../decision/ports.ts';
import type { JsonDocument } from './json-body.ts';
import type { JsonMember } from './json-scanner.ts';
import { parseMediaType } from './media-type.ts';
import { isRefusal, malformed, type Refusal } from './refusal.ts';

/** Refuses a body that is not plainly labelled as uncoded UTF-8 JSON: the upstream might read it in another way. */
export function jsonLabelFault({ headers }: AccessRequest, contentType: string | undefined): Refusal | undefined {
  if (headers.all('content-encoding').length > 0) return malformed('`content-encoding` is set on a JSON route');
  const media = contentType === undefined ? undefined : parseMediaType(contentType);
  if (media?.type !== 'application/json') return malformed('`content-type` is not `application/json`');
  for (const [name, value] of media.parameters) {
    if (name !== 'charset' || value.toLowerCase() !== 'utf-8') return malformed('`content-type` is not in UTF-8');
  }
  return undefined;
}

/**
 * The typed fields of an inference request's body. A field of the wrong type, a spelling that a case-insensitive
 * reader takes for a field, and two limits that differ are refused; `null` means absent where the OpenAI API says so.
 */
export function parseInference(document: JsonDocument): Inference | Refusal {
  const { members } = document;
  if (members === undefined) return malformed('the JSON body is no object');
  for (const name of members.keys()) {
    if (!FIELDS.has(name) && name.length <= LONGEST_FIELD && FIELDS.has(fold(name))) {
      return malformed('the JSON body has a twin of a field in another spelling');
    }
  }
  const inference: { -readonly [field in keyof Inference]: Inference[field] } = {};

  const model = members.get('model');
  if (model !== undefined) {
    const name = model.first === QUOTE ? document.textOf(model) : '';
    if (!isModelName(name)) return wrongType('model');
    inference.model = name;
  }

  const stream = given(members.get('stream'));
  if (stream !== undefined) {
    if (stream.first !== LETTER_T && stream.first !== LETTER_F) return wrongType('stream');
    inference.stream = stream.first === LETTER_T;
  }

  const maxTokens = parseMaxTokens(document, members);
  if (isRefusal(maxTokens)) return maxTokens;
  if (maxTokens !== undefined) inference.max_tokens = maxTokens;

  const candidates = parseCount(document, given(members.get('n')));
  if (candidates === WRONG || candidates === 0) return wrongType('n');
  if (candidates !== undefined) inference.candidates = candidates;

  const messages = members.get('messages');
  if (messages !== undefined) {
    if (messages.first !== OPEN_BRACKET) return wrongType('messages');
    inference.message_count = messages.elements;
  }
  return withEstimate(inference, members);
}

/** Whether a text can name a model: no spaces, controls or quotes, so that it has one spelling everywhere. */
export function isModelName(text: string): boolean {
  return MODEL_NAME.test(text);
}

const MODEL_NAME = /^[A-Za-z0-9][A-Za-z0-9._:/@+~-]{0,255}$/;

/** Fields whose text the model reads, whichever API dialect the upstream speaks. */
const PROMPT_FIELDS = ['messages', 'prompt', 'input', 'system', 'instructions'];
const FIELDS = new Set(['model', 'stream', 'max_tokens', 'max_completion_tokens', 'n', ...PROMPT_FIELDS]);
const LONGEST_FIELD = 32;
const BYTES_PER_TOKEN = 4;

const QUOTE = 0x22;
const OPEN_BRACKET = 0x5b;
const LETTER_F = 0x66;
const LETTER_N = 0x6e;
const LETTER_T = 0x74;
const WRONG = -1;

/** Go's encoding/json matches keys by Unicode simple folding: `ſ` is an `s` to it, the Kelvin sign a `k`. */
function fold(name: string): string {
  return name.toUpperCase().toLowerCase();
}

function given(member: JsonMember | undefined): JsonMember | undefined {
  return member?.first === LETTER_N ? undefined : member;
}

/**
 * `max_completion_tokens` replaced `max_tokens`, and servers of both ages are about: when the two differ nobody knows
 * which one holds, so that is refused.
 */
function parseMaxTokens(
  document: JsonDocument,
  members: ReadonlyMap<string, JsonMember>,
): number | undefined | Refusal {
  const older = parseCount(document, given(members.get('max_tokens')));
  if (older === WRONG) return wrongType('max_tokens');
  const newer = parseCount(document, given(members.get('max_completion_tokens')));
  if (newer === WRONG) return wrongType('max_completion_tokens');
  if (older !== undefined && newer !== undefined && older !== newer) {
    return malformed('`max_tokens` and `max_completion_tokens` differ');
  }
  return newer ?? older;
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
  inference: { -readonly [field in keyof Inference]: Inference[field] },
  members: ReadonlyMap<string, JsonMember>,
): Inference | Refusal {
  let textBytes = 0;
  let tokenIds = 0;
  let seen = false;
  for (const field of PROMPT_FIELDS) {
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
