import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import type { PolicyInput } from '../../../src/decision/input.ts';
import { type JsonObject, type JsonValue, RawJson } from '../../../src/decision/json.ts';
import { createKnownResults, type KnownResults } from '../../../src/policy/known-results.ts';
import type { Projection } from '../../../src/policy/projection.ts';
import { policyInput } from '../../contract/policy-support/engine.ts';

const part = (...members: readonly (readonly [string, Projection])[]): Projection => ({ members: new Map(members) });
const LEAF: Projection = { members: new Map() };

/** What the usual entrypoint reads. */
const PROJECTION = part(
  ['identity', part(['tenant', LEAF])],
  ['request', part(['method', LEAF], ['size', part(['bytes', LEAF], ['known', LEAF])])],
  ['route', part(['name', LEAF])],
  ['network', part(['client_ip', LEAF], ['constructor', LEAF], ['__proto__', LEAF])],
  ['source_principal', LEAF],
);

type Members = { readonly [name: string]: JsonValue | undefined };

function callerOf(tenant: string): JsonObject {
  return Object.freeze({ tenant });
}

const CALLER = callerOf('tenant-a');
const ROUTE = Object.freeze({ name: 'infer' });

function inputOf(members: Members = {}): PolicyInput {
  return policyInput({
    identity: CALLER,
    request: { method: 'POST', size: { known: true, bytes: 2 } },
    route: ROUTE,
    network: { client_ip: '192.0.2.1' },
    ...members,
  });
}

/** Asks as often as it takes until a result is kept, where one is. */
function learn(known: KnownResults, input: PolicyInput, value: unknown = ['learned']): void {
  for (let nth = 0; nth < 4; nth += 1) if (known.find(input) === undefined) known.keep(value, known.asked());
}

function learned(input = inputOf(), value?: unknown, projection = PROJECTION): KnownResults {
  const known = createKnownResults(projection);
  learn(known, input, value);
  return known;
}

describe('a result', () => {
  test('is found for an input that says the same', () => {
    const known = learned();
    expect(known.find(inputOf())).toEqual({ value: ['learned'] });
    expect(known.find(inputOf({ parsed_body: 'not read' }))).toEqual({ value: ['learned'] });
    expect(
      known.find(inputOf({ request: { method: 'POST', host: 'not read', size: { bytes: 2, known: true } } })),
    ).toEqual({ value: ['learned'] });
  });

  test('may be that there is none', () => {
    const known = createKnownResults(PROJECTION);
    for (let nth = 0; nth < 4; nth += 1) {
      expect(known.find(inputOf())).toBeUndefined();
      known.keep(undefined, known.asked());
    }
    expect(known.find(inputOf())).toEqual({ value: undefined });
  });

  test('is kept of every fourth that is not known', () => {
    const known = createKnownResults(PROJECTION);
    const found = Array.from({ length: 6 }, () => {
      const result = known.find(inputOf());
      if (result === undefined) known.keep('kept', known.asked());
      return result?.value;
    });
    expect(found).toEqual([undefined, undefined, undefined, undefined, 'kept', 'kept']);
  });

  test('is a copy that nobody can change, whatever becomes of the first', () => {
    const charge = { name: 'a', key: ['tenant'], reserve: { ttl_seconds: 1 } };
    const hostile = JSON.parse('{"__proto__": [1], "constructor": 2}') as object;
    const value = [charge, hostile, 2n ** 60n, -0, null];
    const known = learned(inputOf(), value);
    const text = JSON.stringify([charge, hostile]);
    charge.key.push('method');
    charge.reserve.ttl_seconds = 2;
    const found = known.find(inputOf())?.value as readonly unknown[];
    expect(JSON.stringify(found.slice(0, 2))).toBe(text);
    expect(found.slice(2)).toEqual([2n ** 60n, -0, null]);
    const parts = (one: unknown): readonly unknown[] =>
      typeof one === 'object' && one !== null ? [one, ...Object.values(one).flatMap(parts)] : [];
    expect(parts(found).every(Object.isFrozen)).toBe(true);
    expect(known.find(inputOf())?.value).toBe(found);
  });

  test.each<[string, unknown]>([
    ['of many parts', Array.from({ length: 300 }, () => ({ a: 1 }))],
    ['of many scalars', Array.from({ length: 300 }, () => 1)],
    ['with long texts', ['a'.repeat(3_000)]],
    ['with long keys', { ['a'.repeat(3_000)]: 1 }],
    ['with many digits', [2n ** 4_000n]],
  ])('%s is not kept', (_, value) => {
    expect(learned(inputOf(), value).find(inputOf())).toBeUndefined();
  });

  test.each<[string, JsonValue]>([
    ['a long text', 'a'.repeat(3_000)],
    ['a number of many digits', 2n ** 4_000n],
  ])('is not kept for an input that holds %s', (_, method) => {
    const input = inputOf({ request: { method } });
    expect(learned(input).find(input)).toBeUndefined();
  });
});

/** Each says something else than the usual input, or than `before`. */
const DIFFERENCES: readonly (readonly [says: string, members: Members, before?: Members])[] = [
  ['an equal caller', { identity: callerOf('tenant-a') }],
  ['an equal route', { route: Object.freeze({ name: 'infer' }) }],
  ['no route', { route: null }],
  ['another method', { request: { method: 'PUT', size: { known: true, bytes: 2 } } }],
  ['another case', { request: { method: 'post', size: { known: true, bytes: 2 } } }],
  ['a number as a text', { request: { method: 'POST', size: { known: true, bytes: '2' } } }],
  ['a number as a bigint', { request: { method: 'POST', size: { known: true, bytes: 2n } } }],
  ['a boolean as a text', { request: { method: 'POST', size: { known: 'true', bytes: 2 } } }],
  ['a member swapped for another', { request: { method: 'POST', size: { known: 2, bytes: true } } }],
  ['an absent member', { request: { method: 'POST', size: { known: true } } }],
  ['a null member', { request: { method: 'POST', size: { known: true, bytes: null } } }],
  ['an absent object', { request: { method: 'POST' } }],
  ['a null object', { request: { method: 'POST', size: null } }],
  ['an empty object', { request: { method: 'POST', size: {} } }],
  ['an empty object for an absent one', { request: { size: {} } }, { request: {} }],
  ['an empty object for null', { request: { size: {} } }, { request: { size: null } }],
  ['null for an absent object', { request: { size: null } }, { request: {} }],
  ['an empty list for an object', { request: { size: [] } }, { request: { size: {} } }],
  ['JSON text for an object', { request: { size: new RawJson('{}') } }, { request: { size: {} } }],
  ['minus zero', { request: { size: { bytes: -0 } } }, { request: { size: { bytes: 0 } } }],
  ['zero for false', { request: { size: { bytes: 0 } } }, { request: { size: { bytes: false } } }],
  ['an empty text for null', { request: { method: '' } }, { request: { method: null } }],
  ['a member that all objects inherit', { network: JSON.parse('{"constructor": 1}') }, { network: {} }],
  ['an own `__proto__`', { network: JSON.parse('{"__proto__": 1}') }, { network: {} }],
  ['a member in another’s place', { network: JSON.parse('{"__proto__": 1}') }, { network: { constructor: 1 } }],
  ['a text behind its end', { source_principal: 'a\0' }, { source_principal: 'a' }],
  ['another normal form', { source_principal: 'e\u0301' }, { source_principal: '\u00e9' }],
  ['an absent scalar', {}, { source_principal: '' }],
];

describe('another result', () => {
  test.each(DIFFERENCES.map(([says, members, before = {}]) => [says, members, before] as const))(
    'is that of an input with %s',
    (_, members, before) => {
      const known = learned(inputOf(before));
      expect(known.find(inputOf(before))).toEqual({ value: ['learned'] });
      expect(known.find(inputOf(members))).toBeUndefined();
      expect(known.find(inputOf(before))).toEqual({ value: ['learned'] });
    },
  );

  test('is that of a route whose object may change, once it did', () => {
    const route = { name: 'infer' };
    const known = learned(inputOf({ route }));
    expect(known.find(inputOf({ route: { name: 'infer' } }))).toEqual({ value: ['learned'] });
    route.name = 'chat';
    expect(known.find(inputOf({ route }))).toBeUndefined();
  });

  test('is that of a text with a lone surrogate only where the policy reads another text', () => {
    const text = 'longer than a short text';
    const known = learned(inputOf({ source_principal: `${text}\ud800` }));
    // The policy reads both as this one.
    expect(known.find(inputOf({ source_principal: `${text}\ufffd` }))).toEqual({ value: ['learned'] });
    expect(known.find(inputOf({ source_principal: text }))).toBeUndefined();
    expect(known.find(inputOf({ source_principal: `${text}\ufffd\ufffd` }))).toBeUndefined();
    expect(
      learned(inputOf({ source_principal: '\ud800' })).find(inputOf({ source_principal: '\udc00' })),
    ).toBeUndefined();
  });
});

describe('nothing is kept', () => {
  test.each<[string, Members]>([
    ['of a caller whose object may change', { identity: { tenant: 'tenant-a' } }],
    ['of nobody', { identity: undefined }],
    ['of a caller that is null', { identity: null }],
    ['of a caller that is a text', { identity: 'tenant-a' }],
    ['where a list is read', { request: { method: ['POST'] } }],
    ['where all of an object is read', { request: { method: { name: 'POST' } } }],
    ['where JSON text is read', { request: new RawJson('{"method": "POST"}') }],
    ['where all of a frozen object is read that requests do not share', { source_principal: Object.freeze({ a: 1 }) }],
  ])('%s', (_, members) => {
    const input = inputOf(members);
    expect(learned(input).find(input)).toBeUndefined();
  });

  test.each<[string, Projection]>([
    ['reads all of its input', 'whole'],
    ['reads nothing of the caller', part(['request', part(['method', LEAF])])],
    ['reads nothing', LEAF],
    ['reads what Envoy sent', part(['identity', LEAF], ['attributes', part(['time', LEAF])])],
    ['reads the body', part(['identity', LEAF], ['parsed_body', part(['model', LEAF])])],
  ])('of an entrypoint that %s', (_, projection) => {
    const input = inputOf({ attributes: { time: 'now' }, parsed_body: { model: 'm' } });
    expect(learned(input, 1, projection).find(input)).toBeUndefined();
  });

  test('of an input that something else was asked after', () => {
    const known = createKnownResults(PROJECTION);
    for (let nth = 0; nth < 8; nth += 1) {
      known.find(inputOf());
      const asked = known.asked();
      known.find(inputOf({ network: {} }));
      known.keep('of the first', asked);
    }
    expect(known.find(inputOf())).toBeUndefined();
    expect(known.find(inputOf({ network: {} }))).toBeUndefined();
  });

  test.each<[string, JsonValue]>([
    ['and is like another', { client_ip: '192.0.2.1' }],
    ['and is not comparable', []],
  ])('of an input that asks for another one while it is read %s', (_, network) => {
    const other = inputOf({ request: { method: 'GET' } });
    const known = learned(other, 'of the other');
    const asking: PolicyInput = {
      ...inputOf(),
      network: () => {
        expect(known.find(other)).toEqual({ value: 'of the other' });
        return network;
      },
    };
    for (let nth = 0; nth < 8; nth += 1) {
      expect(known.find(asking)).toBeUndefined();
      known.keep('of the one', known.asked());
    }
    expect(known.find(other)).toEqual({ value: 'of the other' });
    expect(known.find(inputOf())).toBeUndefined();
  });

  test('of an input that could not be read', () => {
    const known = learned();
    const faulty: PolicyInput = {
      ...inputOf(),
      network: () => {
        throw new Error('unreadable');
      },
    };
    for (let nth = 0; nth < 8; nth += 1) {
      expect(() => known.find(faulty)).toThrow('unreadable');
      known.keep('of nothing', known.asked());
    }
    expect(known.find(inputOf())).toEqual({ value: ['learned'] });
  });
});

describe('each caller', () => {
  const asking = (at: number, identity = CALLER): PolicyInput =>
    inputOf({ identity, network: { client_ip: String(at) } });

  test('has four places, for what he was answered last', () => {
    const known = createKnownResults(PROJECTION);
    for (let at = 0; at < 6; at += 1) learn(known, asking(at), at);
    const found = Array.from({ length: 6 }, (_, at) => known.find(asking(at))?.value);
    expect(found).toEqual([undefined, undefined, 2, 3, 4, 5]);
  });

  test('has places of his own', () => {
    const known = learned(asking(0), 'of the first');
    const other = callerOf('tenant-a');
    for (let at = 0; at < 100; at += 1) learn(known, asking(at, other), at);
    expect(known.find(asking(0))).toEqual({ value: 'of the first' });
  });
});

test('no more than so many results are held, of however many callers', () => {
  const known = learned(inputOf(), 'of the first');
  let callers = 1;
  const first = inputOf();
  const others: PolicyInput[] = [];
  for (; known.find(first) !== undefined && callers < 10_000; callers += 1) {
    const input = inputOf({ identity: callerOf(`tenant-${callers}`) });
    others.push(input);
    learn(known, input, callers);
  }
  expect(callers).toBe(4_097);
  expect(others.filter((input) => known.find(input) !== undefined)).toHaveLength(1);
});

setFlagsFromString('--expose-gc');
// What the flag puts there.
const collectGarbage = runInNewContext('gc') as () => void;

test('no message is held for a text that was a part of it', { timeout: 60_000 }, () => {
  const heldBytes = (partLength: number): number => {
    const known = createKnownResults(PROJECTION);
    const callers = Array.from({ length: 100 }, (_, at) => callerOf(`tenant-${at}`));
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    for (const [at, identity] of callers.entries()) {
      const message = Buffer.alloc(100_000, `message ${at} `).toString();
      const text = message.slice(0, partLength);
      // A text becomes one piece as the name of a member, so those are texts of their own.
      const others = [1, 2, 3].map((from) => message.slice(from, from + partLength));
      learn(known, inputOf({ identity, source_principal: text }), [others[0], { [`${others[1]}`]: others[2] }]);
    }
    collectGarbage();
    const after = process.memoryUsage().heapUsed;
    expect(callers.filter((identity, at) => isKnown(known, identity, at, partLength))).toHaveLength(100);
    return after - before;
  };
  // All messages are ten million bytes.
  for (const partLength of [5, 12, 13, 100]) expect(heldBytes(partLength), `${partLength}`).toBeLessThan(1_000_000);
});

/** Whether what a caller was answered for the beginning of his message is known. */
function isKnown(known: KnownResults, identity: JsonObject, nth: number, partLength: number): boolean {
  const text = Buffer.alloc(partLength, `message ${nth} `).toString();
  return known.find(inputOf({ identity, source_principal: text })) !== undefined;
}
