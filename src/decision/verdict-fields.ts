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
  if (typeof value !== 'string') throw new VerdictFault(`\`${key}\` is not a text`);
  return value;
}

export function texts(value: unknown, key: string): readonly string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) {
    throw new VerdictFault(`\`${key}\` is not a list of texts`);
  }
  return value;
}

export function jsonObject(value: unknown, key: string): JsonObject {
  if (value === undefined) return {};
  if (!isObject(value)) throw new VerdictFault(`\`${key}\` is not an object`);
  // It came out of JSON.parse or an engine that makes the same values.
  return value as JsonObject;
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
    const values = typeof one === 'string' ? [one] : texts(one, key);
    return values.map((text) => [name, text] as const);
  });
}
