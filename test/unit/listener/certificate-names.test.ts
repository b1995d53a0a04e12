import { describe, expect, test } from 'vitest';
import { certificateNames } from '../../../src/listener/certificate-names.ts';

describe('certificateNames', () => {
  test.each([
    [undefined, { uris: [], dns: [] }],
    ['DNS:Gateway.Example', { uris: [], dns: ['gateway.example'] }],
    ['URI:spiffe://td/x, DNS:a, IP Address:10.0.0.1', { uris: ['spiffe://td/x'], dns: ['a'] }],
    ['URI:spiffe://td/x, URI:spiffe://td/y', { uris: ['spiffe://td/x', 'spiffe://td/y'], dns: [] }],
    // CVE-2021-44532: one name that holds a separator stays one name.
    ['DNS:"a.example, DNS:gateway.example"', { uris: [], dns: ['a.example, dns:gateway.example'] }],
    ['URI:"spiffe://td/x, URI:spiffe://td/y"', { uris: ['spiffe://td/x, URI:spiffe://td/y'], dns: [] }],
    [String.raw`DNS:"a\", DNS:b", DNS:c`, { uris: [], dns: ['a", dns:b', 'c'] }],
    ['email:a@b, DirName:CN = x', { uris: [], dns: [] }],
    ['DNS:', { uris: [], dns: [''] }],
    ['', { uris: [], dns: [] }],
    ['DNS:a; DNS:b', { uris: [], dns: ['a; dns:b'] }],
  ])('reads %j', (subjectAltName, names) => {
    expect(certificateNames({ subjectAltName })).toEqual(names);
  });

  test.each([
    'DNS',
    'DNS:a,DNS:b',
    'DNS:a, ',
    'DNS:"a',
    'DNS:"a"b',
    String.raw`DNS:"a\x"`,
    String.raw`DNS:"a\u0000.example"`,
    'DNS:a\0b',
    ', DNS:a',
  ])('says that it cannot read %j', (subjectAltName) => {
    expect(certificateNames({ subjectAltName })).toBeUndefined();
  });
});
