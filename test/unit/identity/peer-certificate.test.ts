import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CredentialFault } from '../../../src/identity/credential-fault.ts';
import { createCertificateReader, decodePem } from '../../../src/identity/peer-certificate.ts';
import { parsePeerNames } from '../../../src/identity/peer-certificate-names.ts';
import { type CertificateMaker, createCertificateMaker } from '../../support/certificates.ts';

let maker: CertificateMaker;
beforeAll(() => {
  maker = createCertificateMaker();
});
afterAll(() => maker.remove());

const pem = (name: string, sans: readonly string[] = [], isCa = false): string =>
  readFileSync(maker.make(name, { sans, isCa }).cert, 'utf8');

describe('a certificate', () => {
  test('is read with its URIs, DNS names, subject and fingerprint', () => {
    const text = pem('web', [
      'URI:spiffe://td/web',
      'URI:https://web.test/',
      'DNS:web.test',
      'DNS:Web',
      'IP:192.0.2.1',
    ]);
    expect(createCertificateReader(10)(text)).toEqual({
      uris: ['spiffe://td/web', 'https://web.test/'],
      dns: ['web.test', 'Web'],
      subject: 'CN=web',
      fingerprintSha256: new X509Certificate(text).fingerprint256.replaceAll(':', '').toLowerCase(),
      isCa: false,
    });
  });

  test('that may sign others says so', () => {
    expect(createCertificateReader(10)(pem('ca', [], true))).toMatchObject({ isCa: true, uris: [], dns: [] });
  });

  test('that was read before is not read again, and no other text is answered by it', () => {
    const read = createCertificateReader(2);
    const [first, second] = [pem('first'), pem('second')];
    const one = read(first);
    expect(read(first)).toBe(one);
    expect(read(second)).not.toEqual(one);
    const twin = first.trimEnd();
    expect(read(twin)).not.toBe(one);
    expect(read(twin)).toEqual(one);
    // Two entries are kept: the first is gone, and read anew.
    expect(read(first)).not.toBe(one);
  });

  test('comes URL-encoded from Envoy', () => {
    const text = pem('encoded', ['DNS:encoded.test']);
    expect(createCertificateReader(10)(decodePem(encodeURIComponent(text))).dns).toEqual(['encoded.test']);
  });

  test.each([
    ['nothing', () => ''],
    ['no PEM', () => 'spiffe://td/a'],
    ['an empty block', () => '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n'],
    ['a block of no DER', () => '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
    ['two certificates', () => pem('one') + pem('two')],
    ['text in front', () => `subject=CN=x\n${pem('front')}`],
    ['text behind', () => `${pem('behind')}x`],
    ['another label', () => pem('label').replaceAll('CERTIFICATE', 'TRUSTED CERTIFICATE')],
    ['a cut block', () => pem('cut').replace(/\n[^\n]+\n-----END/, '\n-----END')],
    ['a text that is too long', () => pem('long') + '\n'.repeat(65_536)],
  ])('made of %s is refused', (_title, make) => {
    expect(() => createCertificateReader(10)(make())).toThrow(CredentialFault);
  });

  test.each(['%', '%zz', '%ff', `${'a'.repeat(65_537)}`])('encoded as %.8s is refused', (encoded) => {
    expect(() => decodePem(encoded)).toThrow(CredentialFault);
  });
});

/** C=DE, O=Ex + Am, CN=a"b\\,c;URI=xé, emailAddress=a@b; self-signed, of no use any more. */
const ODD_SUBJECT = [
  '-----BEGIN CERTIFICATE-----',
  'MIIBkjCCATkCFA8BET7CyCPvxj2MXUMoahHjodeMMAoGCCqGSM49BAMCMEwxCzAJ',
  'BgNVBAYTAkRFMRAwDgYDVQQKDAdFeCArIEFtMRcwFQYDVQQDDA5hImJcLGM7VVJJ',
  'PXjDqTESMBAGCSqGSIb3DQEJARYDYUBiMB4XDTI2MTEyMjA2MDgxN1oXDTI2MTEy',
  'NTA2MDgxN1owTDELMAkGA1UEBhMCREUxEDAOBgNVBAoMB0V4ICsgQW0xFzAVBgNV',
  'BAMMDmEiYlwsYztVUkk9eMOpMRIwEAYJKoZIhvcNAQkBFgNhQGIwWTATBgcqhkjO',
  'PQIBBggqhkjOPQMBBwNCAATE1pe6MGR/SsowL4pIaAaf2a60TkdZhm0m6HLcFlNO',
  'ND9pSaBiSu7Hqfh9j2/JNJ2SwuRZWNh5vjAKcU9/e891MAoGCCqGSM49BAMCA0cA',
  'MEQCIB0b/bk27hdnHL7mAQGS385hLtqvxBSAT6Io9DBQ2/UiAiAiVsxz6wKdKFbF',
  'cWfhQhv44apZU8T2VF9PW2mOPNRcPw==',
  '-----END CERTIFICATE-----',
  '',
].join('\n');

test('a subject is written as OpenSSL and Envoy write it (RFC 2253)', () => {
  const { subject } = createCertificateReader(10)(ODD_SUBJECT);
  expect(subject).toBe(String.raw`emailAddress=a@b,CN=a\"b\\\,c\;URI=x\C3\A9,O=Ex \+ Am,C=DE`);
});

describe('the names of a certificate', () => {
  test.each([
    [undefined, [], []],
    ['URI:spiffe://td/a', ['spiffe://td/a'], []],
    ['DNS:a, URI:b, DNS:c, IP Address:192.0.2.1, email:x@y', ['b'], ['a', 'c']],
    ['URI:"spiffe://td/a, URI:spiffe://td/admin"', ['spiffe://td/a, URI:spiffe://td/admin'], []],
    ['DNS:"a\\u0000b"', [], ['a\0b']],
  ])('%s are kept apart', (subjectAltName, uris, dns) => {
    expect(parsePeerNames({ subjectAltName })).toEqual({ uris, dns });
  });

  test.each(['URI:a, ', 'URI:a,DNS:b', ', URI:a', 'URI', 'URI:"a', 'URI:"a"b', 'URI:a"b', 'URI:"\\x"', 'U1:a'])(
    '%s are believed by nobody',
    (subjectAltName) => {
      expect(parsePeerNames({ subjectAltName })).toBeUndefined();
    },
  );
});
