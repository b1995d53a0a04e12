import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Instant, Offender } from '../../../src/decision/ports.ts';
import { canonicalIp } from '../../../src/inspection/ip-address.ts';
import { createRefusalTable } from '../../../src/quota/refusal-table.ts';
import { caseCount, seedOf } from '../../support/seed.ts';

const LIMIT = 10;

function open(parts: { readonly max_entries?: number } = {}) {
  const table = createRefusalTable({ limit: LIMIT, per_seconds: 60, max_entries: 1000, ...parts });
  let atMs = 0;
  const now = (): Instant => ({ epochMs: 1_700_000_000_000 + atMs, monotonicMs: atMs });
  return {
    advance: (ms: number) => {
      atMs += ms;
    },
    refuse: (offender: Offender, times = 1) => {
      for (let i = 0; i < times; i++) table.count(offender, now());
    },
    isRepeated: (offender: Offender) => table.isRepeated(offender, now()),
  };
}

const at = (clientIp: string): Offender => ({ clientIp });

/** An address as inspection hands it on. */
function canonical(text: string): Offender {
  const address = canonicalIp(text);
  if (address === undefined) throw new Error(`\`${text}\` is no address`);
  return at(address);
}

setFlagsFromString('--expose-gc');
// What V8 gives for this flag is a function without a result.
const collect = runInNewContext('gc') as () => void;

/** What this thread's heap holds that is still in use. */
function liveMegabytes(): number {
  collect();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

describe('createRefusalTable', () => {
  it.each<[string, Offender]>([
    ['an address', at('192.0.2.1')],
    ['a key', { keyId: 'k1' }],
    ['a SPIFFE ID', { peer: { spiffeId: 'spiffe://a/b', dnsSans: [] } }],
    ['a certificate', { peer: { dnsSans: [], fingerprintSha256: 'ab' } }],
  ])('says that %s is repeated from the limit on, and not before', (_, offender) => {
    const table = open();
    table.refuse(offender, LIMIT - 1);
    expect(table.isRepeated(offender)).toBe(false);
    table.refuse(offender);
    expect(table.isRepeated(offender)).toBe(true);
  });

  it('knows every part of an offender by itself', () => {
    const table = open();
    table.refuse({ clientIp: '192.0.2.1', keyId: 'k', peer: { spiffeId: 'spiffe://a/b', dnsSans: [] } }, LIMIT);
    expect(table.isRepeated(at('192.0.2.1'))).toBe(true);
    expect(table.isRepeated({ keyId: 'k', clientIp: '192.0.2.2' })).toBe(true);
    expect(table.isRepeated({ peer: { spiffeId: 'spiffe://a/b', dnsSans: [] } })).toBe(true);
    expect(table.isRepeated({ keyId: 'l', clientIp: '192.0.2.2' })).toBe(false);
  });

  it('counts nobody where nothing is known', () => {
    const table = open();
    table.refuse({}, 100);
    expect(table.isRepeated({})).toBe(false);
  });

  it('drains steadily', () => {
    const table = open();
    const offender = at('192.0.2.1');
    table.refuse(offender, LIMIT + 2);
    // One refusal drains in 60 s / 10.
    table.advance(12_000);
    expect(table.isRepeated(offender)).toBe(true);
    table.advance(1);
    expect(table.isRepeated(offender)).toBe(false);
    table.refuse(offender);
    expect(table.isRepeated(offender)).toBe(true);
    table.advance(3_600_000);
    expect(table.isRepeated(offender)).toBe(false);
    table.refuse(offender, LIMIT - 1);
    expect(table.isRepeated(offender)).toBe(false);
  });

  it('takes rotation within a /64 for one caller, and no neighbour for him', () => {
    const table = open();
    for (let i = 0; i < LIMIT; i++) table.refuse(canonical(`2001:db8:0:1::${i.toString(16)}`));
    for (const address of ['2001:db8:0:1::ffff', '2001:DB8:0:1:a:b:c:d', '2001:0db8:0000:0001:0:0:0:0']) {
      expect(table.isRepeated(canonical(address)), address).toBe(true);
    }
    for (const address of ['2001:db8:0:2::1', '2001:db8::1', '2001:db8:1::1', '2001:db9:0:1::1', '192.0.2.1']) {
      expect(table.isRepeated(canonical(address)), address).toBe(false);
    }
  });

  it('takes an IPv4-mapped address for that IPv4 address, and never for a /64', () => {
    const table = open();
    table.refuse(canonical('::ffff:192.0.2.1'), LIMIT);
    expect(table.isRepeated(canonical('192.0.2.1'))).toBe(true);
    expect(table.isRepeated(canonical('::FFFF:c000:201'))).toBe(true);
    expect(table.isRepeated(canonical('::ffff:192.0.2.2'))).toBe(false);
    expect(table.isRepeated(canonical('::1'))).toBe(false);
  });

  it.each([
    ['192.0.2.1', '192.0.2.1 '],
    ['a', 'a}'],
    ['a', 'a\u0000'],
    ['a', 'a:b'],
    ['\u00e9', 'e\u0301'],
    ['address 192.0.2.1', 'network 192.0.2.1'],
  ])('never takes the key %j for %j', (one, other) => {
    const table = open();
    table.refuse({ keyId: one }, LIMIT);
    expect(table.isRepeated({ keyId: one })).toBe(true);
    expect(table.isRepeated({ keyId: other })).toBe(false);
    expect(table.isRepeated({ clientIp: one })).toBe(false);
    expect(table.isRepeated({ peer: { spiffeId: one, dnsSans: [] } })).toBe(false);
  });

  it.each(['__proto__', 'constructor', 'toString', ''])('counts the key %j like any other', (keyId) => {
    const table = open();
    expect(table.isRepeated({ keyId })).toBe(false);
    table.refuse({ keyId }, LIMIT);
    expect(table.isRepeated({ keyId })).toBe(true);
  });

  it('shares a bucket between two IPv6 addresses exactly when their first 64 bits are the same', () => {
    const group = fc.oneof(fc.constantFrom(0, 0, 0, 1, 0xffff), fc.integer({ min: 0, max: 0xffff }));
    const prefix = fc.array(group, { minLength: 4, maxLength: 4 });
    const address = (groups: readonly number[]) => groups.map((one) => one.toString(16)).join(':');
    fc.assert(
      fc.property(prefix, prefix, prefix, prefix, (one, other, host, another) => {
        // What looks like IPv4-mapped is an IPv4 address.
        fc.pre(one.some((value) => value !== 0) && other.some((value) => value !== 0));
        const table = open();
        table.refuse(canonical(address([...one, ...host])), LIMIT);
        expect(table.isRepeated(canonical(address([...one, ...another])))).toBe(true);
        expect(table.isRepeated(canonical(address([...other, ...host])))).toBe(address(one) === address(other));
      }),
      { seed: seedOf('refusals by /64') | 0, numRuns: caseCount(2_000) },
    );
  });

  it('forgets the one refused least recently, and never more than it must', () => {
    const table = open({ max_entries: 100 });
    table.refuse(at('192.0.2.1'), LIMIT);
    table.refuse({ keyId: 'old' }, LIMIT);
    for (let i = 0; i < 98; i++) table.refuse({ keyId: `k${i}` });
    expect(table.isRepeated(at('192.0.2.1'))).toBe(true);
    table.refuse(at('192.0.2.1'));
    table.refuse({ keyId: 'newcomer' });
    expect(table.isRepeated({ keyId: 'old' })).toBe(false);
    expect(table.isRepeated(at('192.0.2.1'))).toBe(true);
  });

  it('keeps its size over a million offenders, who do not make each other repeated', () => {
    const count = caseCount(1_000_000);
    const table = open({ max_entries: 20_000 });
    const beforeMb = liveMegabytes();
    let repeated = 0;
    for (let i = 0; i < count; i++) {
      const offender = at(`2001:db8:${(i >> 12).toString(16)}:${(i & 0xfff).toString(16)}::1`);
      if (table.isRepeated(offender)) repeated++;
      table.refuse(offender);
    }
    const grownMb = liveMegabytes() - beforeMb;
    console.info(`refusal table: ${count} offenders, ${repeated} repeated, ${grownMb.toFixed(1)} MB more`);
    expect(repeated).toBe(0);
    // A table without bounds would hold 400.
    expect(grownMb).toBeLessThan(32);
    expect(table.isRepeated(at('192.0.2.1'))).toBe(false);
  });
});
