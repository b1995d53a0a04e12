import { describe, expect, test } from 'vitest';
import { parseKeyEntry, recordFault } from '../../../src/identity/api-key-record.ts';
import { issueKey, toRecord } from './api-key-support.ts';
import { AT, later, NOW_MS } from './support.ts';

const good = issueKey().entry;

describe('an entry is refused whole, with what is wrong', () => {
  test.each([
    ['no id', { id: undefined }, 'id'],
    ['an id with capitals', { id: 'ABCDEFGHIJKLM' }, 'id'],
    ['a number for an id', { id: 123456789012 }, 'id'],
    ['half a digest', { sha256: 'ab'.repeat(16) }, 'sha256'],
    ['a digest in capitals', { sha256: 'AB'.repeat(32) }, 'sha256'],
    ['the secret itself', { secret: 'x' }, 'secret'],
    ['no tenant', { tenant: undefined }, 'tenant'],
    ['an empty tenant', { tenant: '' }, 'tenant'],
    ['no tier', { tier: undefined }, 'tier'],
    ['no roles', { roles: undefined }, 'roles'],
    ['one role that is no list', { roles: 'admin' }, 'roles'],
    ['an empty list of models', { models: [] }, 'models'],
    ['a day that does not exist', { expires: '2027-02-30T00:00:00Z' }, 'expires'],
    ['a local time', { expires: '2027-01-01T00:00:00' }, 'expires'],
    ['a date alone', { expires: '2027-01-01' }, 'expires'],
    ['hour 25', { not_before: '2027-01-01T25:00:00Z' }, 'not_before'],
    ['an end before the begin', { not_before: '2027-01-02T00:00:00Z', expires: '2027-01-01T00:00:00Z' }, 'expires'],
    ['a text for revoked', { revoked: 'yes' }, 'revoked'],
    ['an unknown key', { admin: true }, 'admin'],
    ['no address in the list', { addresses: [] }, 'addresses'],
    ['a name for an address', { addresses: ['localhost'] }, 'addresses.0'],
    ['a prefix of 33', { addresses: ['10.0.0.0/33'] }, 'addresses.0'],
    ['a prefix of nothing', { addresses: ['10.0.0.0/'] }, 'addresses.0'],
    ['two prefixes', { addresses: ['10.0.0.0/8/8'] }, 'addresses.0'],
    ['a zone', { addresses: ['fe80::1%eth0'] }, 'addresses.0'],
    ['a prefix of 129', { addresses: ['::/129'] }, 'addresses.0'],
  ])('%s', (_name, change, path) => {
    const parsed = parseKeyEntry(JSON.parse(JSON.stringify({ ...good, ...change })));
    if ('id' in parsed) throw new Error('the entry was taken');
    expect(parsed.map((fault) => fault.path.join('.'))).toContain(path);
  });

  test.each([[null], [[]], ['text'], [undefined]])('%j is no entry', (value) => {
    expect(parseKeyEntry(value)).toBeInstanceOf(Array);
  });
});

describe('a key holds from its begin to its end, exactly', () => {
  const time = (ms: number) => new Date(ms).toISOString();
  const record = toRecord({ ...good, not_before: time(NOW_MS), expires: time(NOW_MS + 1000) });
  test.each([
    [-1, 'the key is not valid yet'],
    [0, undefined],
    [999, undefined],
    [1000, 'the key is expired'],
    [Number.NaN, 'the key is expired'],
  ])('%d ms after its begin: %s', (ms, fault) => {
    expect(recordFault(record, later(ms), () => undefined)).toBe(fault);
  });

  test('a revoked one never', () => {
    const revoked = toRecord({ ...good, revoked: true });
    expect(recordFault(revoked, AT, () => undefined)).toBe('the key is revoked');
  });
});

describe('a key that is bound to addresses holds only from them', () => {
  const record = toRecord({ ...good, addresses: ['10.1.0.0/16', '192.0.2.7', '2001:db8::/32'] });
  test.each([
    ['10.1.0.0', true],
    ['10.1.255.255', true],
    ['10.2.0.0', false],
    ['192.0.2.7', true],
    ['192.0.2.8', false],
    ['2001:db8::1', true],
    ['2001:db9::1', false],
    ['::ffff:10.1.2.3', true],
    ['::ffff:10.2.2.3', false],
    ['10.1.0.0, 10.1.0.1', false],
    ['', false],
  ])('%s: %s', (address, holds) => {
    expect(recordFault(record, AT, () => address) === undefined).toBe(holds);
  });

  test('an address that is not known is none of them', () => {
    expect(recordFault(record, AT, () => undefined)).toMatch(/address of the client is not known/);
  });

  test('a key without addresses does not ask for one', () => {
    const asked = () => {
      throw new Error('asked');
    };
    expect(recordFault(toRecord(good), AT, asked)).toBeUndefined();
  });
});
