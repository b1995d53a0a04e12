import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { X509_BUILTINS } from '../../../../src/policy/builtins/x509.ts';
import { parseJson } from '../../../../src/policy/values/json.ts';
import { parseRegoText, toRegoText } from '../../../../src/policy/values/text.ts';
import { callBuiltin, OutOfSteps } from './call-builtin.ts';

const GOLDEN = join(import.meta.dirname, '../../../golden/x509');
const pem = (name: string): string => readFileSync(join(GOLDEN, `${name}.pem`), 'utf8');
const call = (name: string, args: readonly unknown[], strict = false): string =>
  callBuiltin(X509_BUILTINS, name, args.map((arg) => JSON.stringify(arg)).join(', '), { strict });
const toDer = (text: string): string => text.replace(/-----[A-Z ]+-----|\n/g, '');
const toBase64 = (text: string): string => Buffer.from(text).toString('base64');

describe('crypto.x509.parse_certificates', () => {
  const name = 'crypto.x509.parse_certificates';
  const text = pem('every-extension');

  test('shows every field as OPA does', () => {
    const expected = readFileSync(join(GOLDEN, 'every-extension.json'), 'utf8');
    expect(call(name, [text])).toBe(toRegoText(parseRegoText(expected)));
  });

  test('takes DER as base64, PEM as base64 and several certificates', () => {
    const one = call(name, [text]);
    expect(call(name, [toDer(text)])).toBe(one);
    expect(call(name, [toBase64(text)])).toBe(one);
    expect(parseJson(call(name, [pem('root') + text + pem('leaf')]))).toHaveLength(3);
    expect(call(name, [''])).toBe('[]');
  });

  test.each([
    ['foobar', 'illegal base64 data at input byte 4'],
    ['YmFkc3RyaW5n', 'x509: malformed certificate'],
    [text.replaceAll('CERTIFICATE', 'X509 CRL'), "PEM block type is 'X509 CRL', expected CERTIFICATE"],
    ['A'.repeat(1_048_580), 'text is longer than 1048576 characters'],
  ])('refuses %.20s', (given, why) => {
    expect(call(name, [given], true)).toBe(`eval_builtin_error: ${why}`);
    expect(call(name, [given])).toBe('undefined');
  });

  test('a certificate that is changed somewhere is read without a crash', () => {
    const der = Buffer.from(toDer(text), 'base64');
    for (let at = 0; at < der.length; at += 7) {
      const changed = Buffer.from(der);
      changed[at] = (changed[at] ?? 0) ^ 0x41;
      expect(call(name, [changed.toString('base64')])).toMatch(/^(?:undefined|\[\{.*\}\])$/s);
    }
  });

  test('its work is charged', () => {
    expect(() => callBuiltin(X509_BUILTINS, name, JSON.stringify(text), { steps: 10_000 })).toThrow(OutOfSteps);
  });
});

test('crypto.x509.parse_certificate_request shows a request as OPA does', () => {
  const name = 'crypto.x509.parse_certificate_request';
  const text = pem('request');
  const expected = toRegoText(parseRegoText(readFileSync(join(GOLDEN, 'request.json'), 'utf8')));
  for (const given of [text, toDer(text), toBase64(text)]) expect(call(name, [given])).toBe(expected);
  expect(call(name, ['foobar'], true)).toContain('illegal base64');
  expect(call(name, ['YmFkc3RyaW5n'], true)).toContain('asn1: structure error');
  expect(call(name, [pem('root')], true)).toContain('illegal base64');
  expect(call(name, [toBase64(pem('root'))], true)).toContain('invalid PEM-encoded certificate signing request');
});

describe('crypto.x509.parse_and_verify_certificates', () => {
  const AT = Date.UTC(2027, 0, 1) * 1e6;
  const verify = (names: readonly string[], options: object = {}, strict = false): string =>
    call(
      'crypto.x509.parse_and_verify_certificates_with_options',
      [names.map(pem).join(''), { CurrentTime: AT, ...options }],
      strict,
    );
  const CHAIN = ['root', 'intermediate', 'leaf'];
  const ANY = { KeyUsages: ['KeyUsageAny'] };

  test.each<readonly [string, readonly string[], object, boolean]>([
    ['a chain', CHAIN, {}, true],
    ['the end first', [...CHAIN].reverse(), {}, false],
    ['one certificate', ['root'], {}, false],
    ['a missing intermediate', ['root', 'leaf'], {}, false],
    ['an intermediate that is no authority', ['root', 'intermediate-no-authority', 'leaf'], {}, false],
    ['a superfluous intermediate', ['root', 'intermediate-no-authority', 'intermediate', 'leaf'], {}, true],
    ['before its time', CHAIN, { CurrentTime: 0 }, false],
    ['after its time', CHAIN, { CurrentTime: 4e18 }, false],
    ['another usage', ['root', 'intermediate', 'leaf-client-only'], {}, false],
    ['the usage asked for', ['root', 'intermediate', 'leaf-client-only'], { KeyUsages: ['KeyUsageClientAuth'] }, true],
    ['any usage', ['root', 'intermediate', 'leaf-client-only'], ANY, true],
    ['its name', CHAIN, { DNSName: 'WWW.example.com.' }, true],
    ['a name of its wildcard', CHAIN, { DNSName: 'x.w.example.com' }, true],
    ['a name below its wildcard', CHAIN, { DNSName: 'y.x.w.example.com' }, false],
    ['another name', CHAIN, { DNSName: 'example.com' }, false],
    ['its address', CHAIN, { DNSName: '[10.0.0.1]' }, true],
    ['another address', CHAIN, { DNSName: '10.0.0.2' }, false],
    ['names within the constraints', ['root', 'intermediate-name-constraints', 'leaf'], {}, true],
    ['an excluded name', ['root', 'intermediate-name-constraints', 'leaf-excluded-name'], {}, false],
    ['a policy that is asked for and missing', ['root', 'intermediate-explicit-policy', 'leaf'], {}, false],
    ['the policy that is asked for', ['root', 'intermediate-policy', 'leaf-policy'], {}, true],
    ['another policy than is asked for', ['root', 'intermediate-policy', 'leaf-other-policy'], {}, false],
  ])('%s', (_title, names, options, valid) => {
    const answer = verify(names, options);
    if (valid) expect(answer).toMatch(/^\[true,\[\{/);
    else expect(answer).toBe('[false,[]]');
  });

  test('the chain goes from the end to the root, as OPA shows it with and without options', () => {
    const plain = call('crypto.x509.parse_and_verify_certificates', [CHAIN.map(pem).join('')]);
    // Whether they are in force at the tests' time or not, the form is the same.
    expect(plain).toMatch(/^\[(?:true|false),\[/);
    const subjects = [...verify(CHAIN).matchAll(/"Subject":\{"CommonName":"([a-z0-9]+)"/g)].map(
      ([, subject]) => subject,
    );
    expect(subjects).toStrictEqual(['leaf', 'i1', 'root']);
    expect(verify(CHAIN)).not.toContain('URIStrings');
  });

  test.each<readonly [object, string]>([
    [{ DNSName: 1 }, "'DNSName' should be a string"],
    [{ CurrentTime: 'x' }, "'CurrentTime' should be a number"],
    [{ CurrentTime: 1.5 }, "'CurrentTime' should be a valid int64 number"],
    [{ KeyUsages: 'x' }, "'KeyUsages' should be an Array or Set"],
    [{ KeyUsages: ['KeyUsageAny', 'a', 'b'] }, "invalid entries for 'KeyUsages' found: [a b]"],
    [{ MaxConstraintComparisons: 'x' }, "'MaxConstraintComparisons' should be a number"],
    [{ __proto__x: 1 }, 'invalid key option'],
  ])('refuses the options %o', (options, why) => {
    expect(verify(CHAIN, options, true)).toBe(`eval_builtin_error: ${why}`);
  });
});

describe('private keys', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-224' }).privateKey;
  const ed = generateKeyPairSync('ed25519').privateKey;
  const wrapped = rsa.export({ format: 'pem', type: 'pkcs8' }).toString();

  test('crypto.x509.parse_rsa_private_key answers a JWK', () => {
    const name = 'crypto.x509.parse_rsa_private_key';
    for (const type of ['pkcs1', 'pkcs8'] as const) {
      const text = rsa.export({ format: 'pem', type }).toString();
      for (const given of [text, toBase64(text)]) {
        expect(parseJson(call(name, [given]))).toStrictEqual(rsa.export({ format: 'jwk' }));
      }
    }
    expect(call(name, [''], true)).toBe('eval_builtin_error: input PEM data was empty');
    expect(call(name, ['invalid'], true)).toContain('illegal base64');
    expect(call(name, [pem('root')])).toBe('null');
  });

  test('crypto.parse_private_keys answers the numbers of each', () => {
    const name = 'crypto.parse_private_keys';
    const keys = parseJson(
      call(name, [
        wrapped +
          pem('root') +
          ec.export({ format: 'pem', type: 'sec1' }) +
          ed.export({ format: 'pem', type: 'pkcs8' }),
      ]),
    );
    expect(keys).toMatchObject([{ E: 65_537, Precomputed: { CRTValues: [] } }, { Curve: {} }, expect.any(String)]);
    expect(call(name, [''])).toBe('null');
    expect(call(name, ['nope'])).toBe('[]');
  });

  test('an RSA key whose numbers do not belong together is none', () => {
    const { n: _, ...rest } = rsa.export({ format: 'jwk' });
    const { n } = generateKeyPairSync('rsa', { modulusLength: 2_048 }).publicKey.export({ format: 'jwk' });
    expect(Object.keys(rest)).toContain('d');
    const der = rsa.export({ format: 'der', type: 'pkcs1' });
    const at = der.indexOf(Buffer.from(String(rsa.export({ format: 'jwk' }).n), 'base64url'));
    Buffer.from(String(n), 'base64url').copy(der, at);
    const text = `-----BEGIN RSA PRIVATE KEY-----\n${der.toString('base64')}\n-----END RSA PRIVATE KEY-----\n`;
    expect(call('crypto.parse_private_keys', [text], true)).toContain('crypto/rsa: invalid modulus');
  });

  test.each([
    [pem('root'), wrapped, 'tls: private key type does not match public key type'],
    [pem('root'), pem('root'), 'tls: found a certificate rather than a key in the PEM for the private key'],
    [wrapped, wrapped, 'PEM inputs may have been switched'],
    ['YQ==', wrapped, 'x509: malformed certificate'],
    [pem('root'), 'YQ==', 'tls: failed to parse private key'],
  ])('crypto.x509.parse_keypair refuses what is no pair: %#', (certificate, key, why) => {
    expect(call('crypto.x509.parse_keypair', [certificate, key], true)).toContain(why);
  });
});
