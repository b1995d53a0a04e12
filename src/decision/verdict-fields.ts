import { type HeaderPairs, parseHeaderNames, parseHeaders } from './header-changes.ts';
import { isObject, type JsonObject } from './json.ts';

/** Why a verdict cannot be read; becomes a Deny with its code. */
export class VerdictFault extends Error {
  readonly code: 'invalid_verdict' | 'unperformed_obligation';

  constructor(message: string, code: 'invalid_verdict' | 'unperformed_obligation' = 'invalid_verdict') {
    super(message);
    this.code = code;
  }
}

// Readers of one member each: the absent is empty, the wrongly typed is a fault that names the member.

export function optionalStatus(value: unknown, key: string): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value)) throw new VerdictFault(`\`${key}\` is not an integer`);
  return value;
}

export function optionalText(value: unknown, key: string): string | undefined {
  if (value === undefined) return undefined;
  if (!isText(value)) throw new VerdictFault(`\`${key}\` is not a text`);
  return value;
}

export function texts(value: unknown, key: string): readonly string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || !value.every(isText)) {
    throw new VerdictFault(`\`${key}\` is not a list of texts`);
  }
  return value;
}

export function jsonObject(value: unknown, key: string): JsonObject {
  if (value === undefined) return {};
  if (!isObject(value)) throw new VerdictFault(`\`${key}\` is not an object`);
  if (!isWritable(value, MAX_DEPTH))
    throw new VerdictFault(`\`${key}\` is nested too deep or holds no text of Unicode`);
  // It came out of JSON.parse or an engine that makes the same values.
  return value as JsonObject;
}

/** What no door can encode must not be an Allow in the log and a denial on the wire. */
const MAX_DEPTH = 16;

function isWritable(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  if (depth === 0) return false;
  if (Array.isArray(value)) return value.every((item) => isWritable(item, depth - 1));
  return Object.entries(value).every(([key, member]) => key.isWellFormed() && isWritable(member, depth - 1));
}

/** A lone surrogate is no text in any encoding. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && value.isWellFormed();
}

export function headerPairs(value: unknown, key: string): HeaderPairs {
  const parsed = parseHeaders(value, key);
  if (typeof parsed === 'string') throw new VerdictFault(parsed);
  return parsed;
}

export function headerNames(value: unknown, key: string): string[] {
  const parsed = parseHeaderNames(texts(value, key), key);
  if (typeof parsed === 'string') throw new VerdictFault(parsed);
  return parsed;
}

export function queryPairs(value: unknown, key: string): HeaderPairs {
  if (value === undefined) return [];
  if (!isObject(value)) throw new VerdictFault(`\`${key}\` is not an object`);
  return Object.entries(value).flatMap(([name, one]) => {
    const values = isText(one) ? [one] : texts(one, key);
    if (!isText(name)) throw new VerdictFault(`\`${key}\` has a name that is not a text`);
    return values.map((text) => [name, text] as const);
  });
}
