import { RequestFault } from './errors.ts';

/** Texts of charges are short: they are part of what a bucket is called. */
export const MAX_TEXT = 128;

export function invalidCharges(message: string): RequestFault {
  return new RequestFault('invalid_charges', message);
}

export function text(value: unknown, key: string): string {
  if (typeof value !== 'string' || value === '' || value.length > MAX_TEXT) {
    throw invalidCharges(`\`${key}\` is not a short text`);
  }
  return value;
}

export function natural(value: unknown, key: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw invalidCharges(`\`${key}\` is not an integer from 0 to 2^53 - 1`);
  }
  return value;
}

export function positive(value: unknown, key: string): number {
  const number = natural(value, key);
  if (number === 0) throw invalidCharges(`\`${key}\` is zero`);
  return number;
}

export function oneOf<const T extends string>(value: unknown, choices: readonly T[], key: string): T {
  const found = choices.find((choice) => choice === value);
  if (found === undefined) throw invalidCharges(`\`${key}\` is none of ${choices.join(', ')}`);
  return found;
}

export function optional<T>(value: unknown, fallback: T, parse: (value: unknown) => T): T {
  return value === undefined ? fallback : parse(value);
}
