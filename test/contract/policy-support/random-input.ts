import type { JsonValue } from '../../../src/decision/json.ts';
import type { Random } from '../../support/seed.ts';

/** Keys and texts that trip up engines made of JavaScript. */
export const HOSTILE = [
  '__proto__',
  'constructor',
  'prototype',
  'length',
  'toString',
  'hasOwnProperty',
  'valueOf',
  '__defineGetter__',
  '0',
  '-0',
  '01',
  '1e0',
  '',
  '\u0000',
  'é',
  'e\u0301',
  '😀',
  '\uffee',
  'null',
  'undefined',
  'result',
] as const;

const ORDINARY = ['admin', 'reader', 'tenant-a', 'tenant-b', 'a', 'b', 'A', 'level'] as const;

export type Members = { readonly [member: string]: JsonValue | undefined };

/** An input of the right shape for the fixture, in which any field may be absent, hostile, or of another type. */
export function randomInput(random: Random): Members {
  const maybe = (make: () => JsonValue): JsonValue | undefined =>
    random.chance(0.1) ? undefined : random.chance(0.05) ? anyValue(random, 2) : make();
  return {
    request: maybe(() => ({ method: 'POST', path: `/${randomText(random)}/${randomText(random)}` })),
    route: maybe(() => ({ name: randomText(random), tenant: maybe(() => randomText(random)) })),
    identity: maybe(() => ({
      kind: 'jwt',
      tenant: maybe(() => randomText(random)),
      roles: maybe(() => listOf(random, () => randomText(random))),
      claims: maybe(() => randomObject(random, 3)),
    })),
    // Not two of any kind: where one has a fraction and the other 20 digits, Wasm rounds otherwise than OPA.
    inference: maybe(() => ({ max_tokens: randomNumber(random), candidates: random.below(1_000) - 100 })),
    parsed_body: maybe(() => anyValue(random, 3)),
  };
}

/** Data with the same hostile keys. */
export function randomData(random: Random): JsonValue {
  return { facts: randomObject(random, 2), limits: { tokens: randomNumber(random) } };
}

function randomText(random: Random): string {
  return random.chance(0.2) ? random.pick(HOSTILE) : random.pick(ORDINARY);
}

function randomNumber(random: Random): JsonValue {
  switch (random.below(6)) {
    case 0:
      return 0;
    case 1:
      return -random.below(1_000);
    case 2:
      return BigInt(random.below(2 ** 31)) * 2n ** BigInt(20 + random.below(60));
    case 3:
      return random.below(1_000) + 0.5;
    default:
      return random.below(1_000);
  }
}

function randomObject(random: Random, depth: number): JsonValue {
  const entries = listOf(random, () => [randomText(random), anyValue(random, depth - 1)] as const);
  return Object.fromEntries(entries);
}

function anyValue(random: Random, depth: number): JsonValue {
  switch (random.below(depth > 0 ? 8 : 6)) {
    case 0:
      return null;
    case 1:
      return random.chance(0.5);
    case 2:
      return randomNumber(random);
    case 6:
      return randomObject(random, depth);
    case 7:
      return listOf(random, () => anyValue(random, depth - 1));
    default:
      return randomText(random);
  }
}

function listOf<T>(random: Random, make: () => T): readonly T[] {
  return Array.from({ length: random.below(5) }, make);
}
