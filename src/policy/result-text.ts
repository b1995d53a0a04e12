import { isObject } from '../decision/json.ts';

/** Reads a result set of Wasm: `undefined` for an empty one. Integers beyond 2^53 are read as `bigint`. */
export function parseResultText(text: string): unknown {
  if (text === '[]') return undefined;
  const results: unknown = LONG_NUMBER.test(text) ? JSON.parse(text, exactIntegers) : JSON.parse(text);
  const [first]: readonly unknown[] = Array.isArray(results) ? results : [];
  if (!isObject(first) || !Object.hasOwn(first, 'result')) throw new Error('the policy engine gave no result set');
  return first['result'];
}

const LONG_NUMBER = /[0-9]{16}/;
const INTEGER = /^-?[0-9]+$/;

function exactIntegers(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const source = context?.source;
  return source !== undefined && INTEGER.test(source) ? BigInt(source) : value;
}
