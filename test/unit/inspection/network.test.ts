import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clientAddress, createClientIp } from '../../../src/inspection/client-address.ts';
import { canonicalHost } from '../../../src/inspection/host.ts';
import { canonicalIp } from '../../../src/inspection/ip-address.ts';
import { seedOf } from '../../support/seed.ts';
import { accessRequest, inspect } from './access-requests.ts';

const MALFORMED = { kind: 'refusal', code: 'malformed_request' };

describe('canonicalIp', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:c000:0201', '192.0.2.1'],
    ['2001:DB8::0001', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['::192.0.2.1', '::c000:201'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
  ])('writes %s as %s', (text, wanted) => {
    expect(canonicalIp(text)).toBe(wanted);
  });

  it.each([
    '',
    '1.2.3',
    '01.2.3.4',
    '1.2.3.4.5',
    '256.1.1.1',
    '0x7f.1',
    ' 1.2.3.4',
    '1.2.3.4\u0000',
    'fe80::1%eth0',
    ':::',
    '1::2::3',
    '::12345',
    '[::1]',
    'localhost',
  ])('refuses %j', (text) => {
    expect(canonicalIp(text)).toBeUndefined();
  });

  it('gives every spelling of an address one text, and that text itself', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const canonical = canonicalIp(text) ?? '';
        expect(canonical).not.toBe('');
        expect(canonicalIp(canonical)).toBe(canonical);
        expect(canonicalIp(text.toUpperCase())).toBe(canonical);
        if (canonical.includes(':')) expect(new URL(`http://[${text}]`).hostname).toBe(`[${canonical}]`);
      }),
      { seed: seedOf('addresses') | 0, numRuns: 1000 },
    );
  });
});

describe('clientAddress', () => {
  const xff = (...values: string[]) => values.map((value) => ['x-forwarded-for', value] as const);

  it.each<[number, string | undefined, readonly (readonly [string, string])[], unknown]>([
    [0, '::ffff:192.0.2.1', xff('203.0.113.9'), '192.0.2.1'],
    [0, undefined, xff('203.0.113.9'), undefined],
    [0, '/tmp/envoy.sock', [], MALFORMED],
    [0, 'fe80::1%2', [], MALFORMED],
    [1, '192.0.2.1', xff('203.0.113.9'), '203.0.113.9'],
    [1, '192.0.2.1', xff('198.51.100.1, 203.0.113.9'), '203.0.113.9'],
    [2, '192.0.2.1', xff('198.51.100.1, 203.0.113.9'), '198.51.100.1'],
    [2, '192.0.2.1', xff('198.51.100.1', '203.0.113.9'), '198.51.100.1'],
    [3, '192.0.2.1', xff('8.8.8.8,198.51.100.1', '203.0.113.9'), '8.8.8.8'],
    [1, '192.0.2.1', xff('junk, 203.0.113.9'), '203.0.113.9'],
    [1, undefined, xff('[2001:DB8::1]:4711'), '2001:db8::1'],
    [1, undefined, xff('203.0.113.9:4711'), '203.0.113.9'],
    [1, undefined, xff('::ffff:203.0.113.9'), '203.0.113.9'],
    [1, '192.0.2.1', [], MALFORMED],
    [2, '192.0.2.1', xff('203.0.113.9'), MALFORMED],
    [1, '192.0.2.1', xff(''), MALFORMED],
    [1, '192.0.2.1', xff('203.0.113.9,'), MALFORMED],
    [2, '192.0.2.1', xff(',203.0.113.9'), MALFORMED],
    [1, '192.0.2.1', xff('unknown'), MALFORMED],
    [1, '192.0.2.1', xff('_hidden'), MALFORMED],
    [1, '192.0.2.1', xff('fe80::1%eth0'), MALFORMED],
    [1, '192.0.2.1', xff('203.0.113.9;x'), MALFORMED],
  ])('with %d trusted hops, peer %s and %j is %o', (hops, sourceAddress, headers, wanted) => {
    const request = accessRequest({ headers, ...(sourceAddress === undefined ? {} : { sourceAddress }) });
    const address = clientAddress(request, hops);
    if (wanted === MALFORMED) expect(address).toMatchObject(MALFORMED);
    else expect(address).toBe(wanted);
  });

  it.each([
    '203.0.113.9}',
    '203.0.113.9\u0000',
    '203.0.113.9:',
    '203.0.113.9:4711:1',
    '203.0.113.9|198.51.100.1',
    '203.0.113.9 198.51.100.1',
    '203.0.113.\uff19',
    '\u0662\u0660\u0663.0.113.9',
    '203.0.113.9\u200b',
    '203.0.113.9\u00a0x',
    '0203.0.113.9',
    '203.0.113.9/24',
    '3405803785',
    '"203.0.113.9"',
    '[203.0.113.9]',
    '[2001:db8::1',
    '2001:db8::1]',
    '[2001:db8::1%eth0]:80',
    '2001:db8::1}',
    '2001:db8::\uff11',
    '2001\u2236db8::1',
    'for=203.0.113.9',
    '__proto__',
  ])('takes %j for no address, and so for nobody’s', (entry) => {
    expect(clientAddress(accessRequest({ headers: xff(entry) }), 1)).toMatchObject(MALFORMED);
    expect(createClientIp({ trusted_hops: 1 })(accessRequest({ headers: xff(entry) }))).toBeUndefined();
    expect(clientAddress(accessRequest({ sourceAddress: entry }), 0)).toMatchObject(MALFORMED);
  });

  it('gives every spelling of one address one caller, and two addresses two', () => {
    const ip = createClientIp({ trusted_hops: 1 });
    const of = (...entries: string[]) =>
      new Set(entries.map((entry) => ip(accessRequest({ headers: xff(`198.51.100.7, ${entry}`) }))));
    const spellings = ['203.0.113.9', ' 203.0.113.9 ', '203.0.113.9:80', '::ffff:203.0.113.9', '::FFFF:cb00:7109'];
    expect(of(...spellings, '[::ffff:203.0.113.9]:80', '0:0:0:0:0:ffff:203.0.113.9')).toEqual(new Set(['203.0.113.9']));
    expect(of('2001:db8::1', '2001:0DB8:0:0:0:0:0:1', '[2001:db8::1]', '[2001:db8:0::1]:443')).toEqual(
      new Set(['2001:db8::1']),
    );
    expect(of('::203.0.113.9', '203.0.113.9', '64:ff9b::203.0.113.9', '2001:db8::1', '2001:db8::1:0').size).toBe(5);
  });

  it('reaches the input and the refusals', () => {
    expect(inspect({ sourceAddress: '192.0.2.1' }, { routing: 'optional' })).toMatchObject({
      network: { client_ip: '192.0.2.1' },
    });
    expect(inspect({ sourceAddress: '192.0.2.1', target: '//' })).toMatchObject({
      network: { client_ip: '192.0.2.1' },
    });
    expect(inspect({}, { trustedHops: 1 })).toMatchObject({ code: 'malformed_request', dependsOnRoute: false });
  });
});

describe('canonicalHost', () => {
  it.each<[string, string | undefined]>([
    ['', undefined],
    ['Example.COM', 'example.com'],
    ['example.com:8443', 'example.com'],
    ['example.com.', 'example.com'],
    ['example.com.:80', 'example.com'],
    ['my_service', 'my_service'],
    ['xn--caf-dma.test', 'xn--caf-dma.test'],
    ['192.0.2.1:80', '192.0.2.1'],
    ['[2001:DB8::1]:80', '[2001:db8::1]'],
    ['[0:0:0:0:0:0:0:1]', '[::1]'],
  ])('reads %j as %j', (host, wanted) => {
    expect(canonicalHost(accessRequest({ host }))).toBe(wanted);
  });

  it.each([
    'a,b',
    'user@host',
    'a b',
    'a/b',
    'a..b',
    '.a',
    'a..',
    'a:',
    'a:x',
    'a:65536',
    'a:123456',
    '[::1',
    '::1',
    '[::1%eth0]',
    '[x]',
    'a\u0000',
    'café',
    'a%2eb',
    'a?b',
    'a#b',
    'a\\b',
    'a'.repeat(300),
  ])('refuses %j', (host) => {
    expect(canonicalHost(accessRequest({ host }))).toMatchObject(MALFORMED);
    expect(inspect({ host }, { routing: 'optional' })).toMatchObject({
      code: 'malformed_request',
      dependsOnRoute: false,
    });
  });

  it('refuses repeated and contradictory headers, and takes agreeing ones', () => {
    const read = (...headers: [string, string][]) => canonicalHost(accessRequest({ host: 'a.test:80', headers }));
    expect(read(['host', 'a.test:80'], [':authority', 'A.TEST'])).toBe('a.test');
    expect(read(['host', 'a.test'], ['host', 'a.test'])).toMatchObject(MALFORMED);
    expect(read(['host', 'a.test,b.test'])).toMatchObject(MALFORMED);
    expect(read([':authority', 'b.test'])).toMatchObject(MALFORMED);
  });
});
