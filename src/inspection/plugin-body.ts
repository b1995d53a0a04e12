import type { AccessRequest } from '../decision/access-request.ts';
import { RequestFault } from '../decision/errors.ts';
import type { JsonValue } from '../decision/json.ts';
import { type JsonDocument, parseJsonBody } from './json-body.ts';
import { asBuffer } from './json-string.ts';
import { parseMediaType } from './media-type.ts';
import { parseMultipart } from './multipart.ts';
import { decodeLikeGo } from './percent-decoding.ts';
import { parseForm } from './plugin-query.ts';
import { isRefusal, type Refusal } from './refusal.ts';

/** opa-envoy-plugin's `parsed_body` and `truncated_body`. */
export interface PluginBody {
  readonly parsed: JsonValue;
  readonly truncated: boolean;
}

export interface PluginBodySources {
  readonly request: AccessRequest;
  readonly duplicateKeys: boolean;
  /** The whole body as JSON, scanned once per request however many ask. */
  readonly document: () => JsonDocument | Refusal;
}

/**
 * Reads the body as the plugin does: the label is found by case-sensitive substring, and a body shorter than its
 * content-length is truncated. Throws `malformed_request` where the plugin denies.
 */
export function parsePluginBody({ request, duplicateKeys, document }: PluginBodySources): PluginBody {
  if (isPartial(joined(request, 'x-envoy-auth-partial-body'))) return TRUNCATED;
  const label = joined(request, 'content-type') ?? '';
  const reader = READERS.find(([text]) => label.includes(text))?.[1];
  if (reader === undefined || request.body.bytes.length === 0) return ABSENT;
  if (reader === 'grpc') return ABSENT;
  if (isShorter(request.body.bytes.length, joined(request, 'content-length'))) return TRUNCATED;
  switch (reader) {
    case 'json':
      return whole(required(document()).raw());
    case 'form':
      return whole(parseForm(decodeForm(request)));
    case 'multipart':
      return readMultipart(request, label, duplicateKeys);
  }
}

const ABSENT: PluginBody = { parsed: null, truncated: false };
const TRUNCATED: PluginBody = { parsed: null, truncated: true };

/** In the plugin's order; `application/grpc` needs descriptors, which Sallyport has none of. */
const READERS = [
  ['application/json', 'json'],
  ['application/grpc', 'grpc'],
  ['application/x-www-form-urlencoded', 'form'],
  ['multipart/form-data', 'multipart'],
] as const;

function whole(parsed: JsonValue): PluginBody {
  return { parsed, truncated: false };
}

/** Repeated headers as Envoy joins them for the plugin. */
function joined({ headers }: AccessRequest, name: string): string | undefined {
  const values = headers.all(name);
  return values.length > 1 ? values.join(',') : values[0];
}

/** Go's `strconv.ParseBool`. */
function isPartial(value: string | undefined): boolean {
  if (value === undefined || /^(?:0|f|F|false|FALSE|False)$/.test(value)) return false;
  if (/^(?:1|t|T|true|TRUE|True)$/.test(value)) return true;
  throw new RequestFault('malformed_request', '`x-envoy-auth-partial-body` is neither true nor false');
}

/** Go's `strconv.ParseInt` to 64 bits. */
function isShorter(seen: number, declared: string | undefined): boolean {
  if (declared === undefined) return false;
  const digits = /^([+-]?)0*([0-9]{1,19})$/.exec(declared);
  const length = digits === null ? undefined : BigInt(`${digits[1] === '-' ? '-' : ''}${digits[2]}`);
  if (length === undefined || BigInt.asIntN(64, length) !== length) {
    throw new RequestFault('malformed_request', '`content-length` is no integer');
  }
  return length > BigInt(seen);
}

function required(document: JsonDocument | Refusal): JsonDocument {
  if (isRefusal(document)) throw new RequestFault(document.code, document.cause);
  return document;
}

function decodeForm(request: AccessRequest): string {
  // Escapes are decoded one by one afterwards, so bytes that are no UTF-8 must not meet them: each is replaced here.
  return decodeLikeGo(asBuffer(request.body.bytes));
}

function readMultipart(request: AccessRequest, label: string, duplicateKeys: boolean): PluginBody {
  const media = parseMediaType(label);
  if (media === undefined) throw new RequestFault('malformed_request', '`content-type` is malformed');
  const boundary = media.parameters.get('boundary');
  if (boundary === undefined) return ABSENT;
  // An own `__proto__` needs an object without the inherited accessor.
  const fields: { [name: string]: JsonValue[] } = Object.create(null);
  for (const { name, contentType, content } of parseMultipart(asBuffer(request.body.bytes), boundary)) {
    const value = contentType.includes('application/json')
      ? required(parseJsonBody(content, duplicateKeys)).raw()
      : decodeLikeGo(content);
    const known = fields[name];
    if (known === undefined) fields[name] = [value];
    else known.push(value);
  }
  return whole(fields);
}
