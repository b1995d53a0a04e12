import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Principal } from '../../src/decision/principal.ts';
import { describeWith } from '../support/describe-with.ts';
import { type CountedBy, type KeyedCaller, type KeyedDecider, openKeyedDecider } from '../support/keyed-decider.ts';
import { caseCount, createRandom, type Random, seedOf } from '../support/seed.ts';
import { startValkey, type ValkeyServer } from '../support/valkey.ts';

/**
 * SECURITY row 17 through the decider: whoever is one caller has one bucket, however he is written, and whoever is
 * another has another. What passes of each is counted against what he asked for: 0 extra, 0 shared, 0 reset.
 */
const LIMIT = 3;
/** Of each test; a caller is asked for about twice as often as he may pass. */
const REQUESTS = 20_000;

const valkeys: ValkeyServer[] = [];
afterAll(async () => {
  for (const valkey of valkeys) await valkey.remove();
});

describeWith(['opa', 'valkey'], 'the bucket of an address or a key is canonical', () => {
  describe.each(['memory', 'redis'] as const)('in the store %s', (kind) => {
    let decider: KeyedDecider;
    beforeAll(async () => {
      if (kind === 'memory') {
        decider = await openKeyedDecider({ limit: LIMIT });
        return;
      }
      const valkey = await startValkey();
      valkeys.push(valkey);
      const quota = { store: { kind, url: valkey.url, cold_start_seconds: 0 }, deadline_ms: 5_000 };
      decider = await openKeyedDecider({ limit: LIMIT, quota });
    });
    afterAll(() => decider?.close());

    test('of an address, behind forged hops, mapped, in any spelling, and of a whole /64', async () => {
      const random = createRandom(seedOf(`canonical addresses, ${kind}`));
      const callers = addressCallers(random, Math.ceil(countFor(kind) / (LIMIT * 2)));
      await judge(decider, 'address', callers, random, kind);
    });

    test.each(['principal', 'tenant', 'key_id', 'claim:team'] as const)(
      'of a %s, among twins by delimiter, Unicode, `}` and NUL',
      async (by) => {
        const random = createRandom(seedOf(`canonical ${by}, ${kind}`));
        await judge(decider, by, principalCallers(by), random, kind);
      },
    );
  });
});

function countFor(kind: 'memory' | 'redis'): number {
  return caseCount(kind === 'memory' ? REQUESTS : REQUESTS / 10);
}

/** One caller in all the ways in which he can be written. */
type Caller = () => KeyedCaller;

async function judge(
  decider: KeyedDecider,
  by: CountedBy,
  callers: readonly Caller[],
  random: Random,
  kind: 'memory' | 'redis',
): Promise<void> {
  const asked = callers.map(() => 0);
  const passed = callers.map(() => 0);
  const count = Math.max(countFor(kind), callers.length * LIMIT);
  for (let at = 0; at < count; at += 1) {
    // Each at least so often that his bucket is asked for more than it holds, in an order that nobody knows.
    const index = at < callers.length * 2 ? at % callers.length : random.below(callers.length);
    asked[index] = (asked[index] ?? 0) + 1;
    if (await decider.passes(by, callers[index]?.() ?? {})) passed[index] = (passed[index] ?? 0) + 1;
  }
  const extra = passed.filter((of) => of > LIMIT).length;
  const shared = passed.filter((of, index) => of < Math.min(LIMIT, asked[index] ?? 0)).length;
  const most = Math.max(...asked);
  console.info(
    `canonical buckets by ${by}, ${kind}: ${count} requests of ${callers.length} callers (one asked ${most} times), ` +
      `${extra} had extra or a reset one, ${shared} shared one`,
  );
  expect({ extra, shared }).toEqual({ extra: 0, shared: 0 });
}

function addressCallers(random: Random, count: number): readonly Caller[] {
  return Array.from({ length: count }, (_, index) => {
    const wanted = index % 2 === 0 ? ipv4Spellings(index, random) : ipv6Spellings(index, random);
    return () => ({ forwarded: [...forgedHops(random), wanted()].join(random.pick([',', ', ', ' , '])) });
  });
}

/** What a client writes before the trusted hop appends its own: addresses of others above all. */
function forgedHops(random: Random): readonly string[] {
  return Array.from({ length: random.below(4) }, () =>
    random.pick(['192.0.2.7', '10.0.0.1', '::1', 'unknown', '', '"', '2001:db8::1', '\u0000', '}']),
  );
}

function ipv4Spellings(index: number, random: Random): () => string {
  const bytes = [198, 18 + (index >> 16), (index >> 8) & 255, index & 255] as const;
  const dotted = bytes.join('.');
  const [a, b, c, d] = bytes.map((byte) => byte.toString(16).padStart(2, '0'));
  return () =>
    random.pick([
      dotted,
      `${dotted}:${random.below(65_536)}`,
      `::ffff:${dotted}`,
      `::FFFF:${dotted}`,
      `0:0:0:0:0:ffff:${dotted}`,
      `::ffff:${a}${b}:${c}${d}`,
      `[::ffff:${dotted}]:${random.below(65_536)}`,
      `0000:0000:0000:0000:0000:ffff:${a}${b}:${c}${d}`,
    ]);
}

/** Any address of one /64, which its client picks freely. */
function ipv6Spellings(index: number, random: Random): () => string {
  const network = ['2001', 'db8', (index >> 12).toString(16), (index & 0xfff).toString(16)];
  return () => {
    const host = Array.from({ length: 4 }, () => (random.chance(0.3) ? '0' : random.below(65_536).toString(16)));
    const groups = [...network, ...host];
    const padded = groups.map((group) => group.padStart(4, '0')).join(':');
    return random.pick([
      groups.join(':'),
      padded,
      padded.toUpperCase(),
      `[${groups.join(':')}]`,
      `[${padded}]:${random.below(65_536)}`,
      `${network.join(':')}::${(random.below(65_535) + 1).toString(16)}`,
    ]);
  };
}

/** Texts that a careless join, fold or cut makes one. */
const TWINS = [
  'a',
  'A',
  'a ',
  ' a',
  'a\u0000',
  'a\u0000b',
  'a\u0000\u0000b',
  'a:b',
  'a|b',
  'a/b',
  'a,b',
  '1:a',
  '3:a:b',
  '1:a1:b',
  '{a}',
  'a}',
  '{a',
  '}{',
  '{b}',
  '#a',
  'é',
  'e\u0301',
  'K',
  '\u212a',
  '\ufb01',
  'fi',
  '\u200ba',
  'a\u200b',
  '\ufeffa',
  '\ud800',
  '\ud801',
  '\ufffd',
  '\udc00\ud800',
  '__proto__',
  'constructor',
  'toString',
  '0',
  '-0',
  '00',
  '1e0',
  'null',
  'x'.repeat(255),
  'x'.repeat(256),
  'x'.repeat(257),
  'x'.repeat(258),
  `${'x'.repeat(300)}\ud800`,
  `${'x'.repeat(300)}\ud801`,
];

function principalCallers(by: CountedBy): readonly Caller[] {
  const made: Principal = {
    kind: 'jwt',
    subject: 'alice',
    issuer: 'https://issuer.test',
    tenant: 'tenant-a',
    tier: 'premium',
    roles: ['analyst'],
    scopes: [],
    claims: {},
    credentials: [],
    demo: false,
  };
  const principals = principalsOf(by, made);
  return principals.map((principal) => () => ({ principal }));
}

function principalsOf(by: CountedBy, made: Principal): readonly Principal[] {
  switch (by) {
    case 'tenant':
      return TWINS.map((tenant) => ({ ...made, tenant }));
    case 'key_id':
      return TWINS.map((keyId) => ({ ...made, kind: 'api_key', keyId }));
    case 'claim:team':
      return TWINS.map((team) => ({ ...made, claims: { team } }));
    case 'address':
      return [];
    case 'principal': {
      const { issuer: _issuer, subject: _subject, ...nameless } = made;
      const subjects = TWINS.map((subject) => ({ ...made, subject }));
      // The same text, moved over each border that a principal's name has.
      const moved = [
        ['a', 'b', 'c'],
        ['ab', '', 'c'],
        ['a', 'bc', ''],
        ['', 'ab', 'c'],
        ['a:b', 'c', ''],
        ['a', 'b:c', ''],
        ['1:a', 'b', 'c'],
      ].map(([tenant = '', issuer = '', subject = '']) => ({ ...made, tenant, issuer, subject }));
      const keys = TWINS.map((keyId): Principal => ({ ...nameless, kind: 'api_key', keyId }));
      const keysWithSubject = TWINS.map(
        (subject): Principal => ({ ...nameless, kind: 'api_key', subject, keyId: 'k' }),
      );
      return [...subjects, ...moved, ...keys, ...keysWithSubject];
    }
  }
}
