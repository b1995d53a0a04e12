import type { KeyObject } from 'node:crypto';
import { isNumber, toBigInt, toDouble } from '../values/number.ts';
import { isArray, sortedEntries } from '../values/object.ts';
import { RegoSet } from '../values/set.ts';
import type { ObjectValue, Value } from '../values/value.ts';
import { base64Mistake, decodeBase64 } from './base64.ts';
import {
  type Builtin,
  type BuiltinContext,
  type Builtins,
  builtinFailure,
  objectOperand,
  textOperand,
} from './builtin.ts';
import { nextPemBlock, type PemBlock, pemBlocks } from './pem.ts';
import { type Certificate, readCertificates } from './x509/certificate.ts';
import { certificateRequestValue } from './x509/certificate-request.ts';
import { certificateValue, extendedCertificateValue } from './x509/certificate-value.ts';
import { keyPairValue } from './x509/key-pair.ts';
import { privateJwk, privateKeyValue, readPrivateKey } from './x509/private-key.ts';
import { type VerifyOptions, verifyChain } from './x509/verify-chain.ts';
import { fail, X509Error } from './x509/x509-error.ts';

/** OPA's `crypto.x509` family and private keys. */
export const X509_BUILTINS: Builtins = new Map<string, Builtin>([
  [
    'crypto.x509.parse_certificates',
    guarded((context, text) => readCertificateText(context, keyText(context, text, 1)).map(extendedCertificateValue)),
  ],
  [
    'crypto.x509.parse_and_verify_certificates',
    guarded((context, text) => verified(context, keyText(context, text, 1), NO_OPTIONS, extendedCertificateValue)),
  ],
  [
    'crypto.x509.parse_and_verify_certificates_with_options',
    guarded((context, text, options) => {
      const given = objectOperand(context, options, 2);
      return verified(context, keyText(context, text, 1), () => readOptions(context, given), certificateValue);
    }),
  ],
  [
    'crypto.x509.parse_certificate_request',
    guarded((context, text) => {
      context.charge(KEY_STEPS);
      return certificateRequestValue(requestDer(keyText(context, text, 1)));
    }),
  ],
  [
    'crypto.x509.parse_keypair',
    guarded((context, certificate, key) =>
      keyPairValue(
        pemText(keyText(context, certificate, 1), 'CERTIFICATE'),
        pemText(keyText(context, key, 1), 'PRIVATE KEY'),
        () => context.charge(KEY_STEPS),
      ),
    ),
  ],
  ['crypto.x509.parse_rsa_private_key', guarded((context, text) => firstKey(context, keyText(context, text, 1)))],
  ['crypto.parse_private_keys', guarded((context, text) => allKeys(context, keyText(context, text, 1)))],
]);

/** Certificates and keys beyond this are refused; a list of all public authorities is a fifth of it. */
const MAX_CHARACTERS = 1_048_576;

/** What reading a certificate or key costs, and checking a signature, in steps of some 10 ns. */
const KEY_STEPS = 15_000;
const SIGNATURE_STEPS = 20_000;

/** Makes what is wrong with a certificate or key a failure of the builtin. */
function guarded(builtin: Builtin): Builtin {
  return (context, a, b, c, d) => {
    try {
      return builtin(context, a, b, c, d);
    } catch (error) {
      if (error instanceof X509Error) throw builtinFailure(context, error.message);
      throw error;
    }
  };
}

function keyText(context: BuiltinContext, value: Value, position: number): string {
  const text = textOperand(context, value, position);
  if (text.length > MAX_CHARACTERS) fail(`text is longer than ${MAX_CHARACTERS} characters`);
  context.charge(text.length);
  return text;
}

function decodeStandard(text: string): Buffer {
  const bytes = decodeBase64(text, 'standard');
  return typeof bytes === 'number' ? fail(base64Mistake(bytes)) : bytes;
}

const BEGIN = '-----BEGIN';

/** Certificates in PEM, in DER as base64, or in PEM as base64. */
function readCertificateText(context: BuiltinContext, text: string): readonly Certificate[] {
  return readCertificates(certificatesDer(text), () => context.charge(KEY_STEPS));
}

function certificatesDer(text: string): Buffer {
  if (text.startsWith(BEGIN)) return pemCertificates(text);
  const bytes = decodeStandard(text);
  const inner = bytes.toString('latin1');
  return inner.startsWith(BEGIN) ? pemCertificates(inner) : bytes;
}

function pemCertificates(text: string): Buffer {
  const blocks = pemBlocks(text);
  const other = blocks.find(({ type }) => type !== 'CERTIFICATE');
  if (other !== undefined) fail(`PEM block type is '${other.type}', expected CERTIFICATE`);
  return Buffer.concat(blocks.map(({ bytes }) => bytes));
}

interface ChainOptions {
  readonly dnsName: string;
  readonly atMs: number | undefined;
  readonly keyUsages: readonly number[];
}

const NO_OPTIONS = (): ChainOptions => ({ dnsName: '', atMs: undefined, keyUsages: [] });

/** The root comes first, the end last; what is answered goes the other way round. */
function verified(
  context: BuiltinContext,
  text: string,
  optionsOf: () => ChainOptions,
  show: (certificate: Certificate) => Value,
): Value {
  let certificates: readonly Certificate[];
  try {
    certificates = readCertificateText(context, text);
  } catch (error) {
    if (error instanceof X509Error) return UNVERIFIED;
    throw error;
  }
  const { dnsName, atMs, keyUsages } = optionsOf();
  const root = certificates[0];
  const end = certificates[certificates.length - 1];
  if (root === undefined || end === undefined || certificates.length < 2) return UNVERIFIED;
  const options: VerifyOptions = {
    dnsName,
    atMs: atMs ?? context.at.epochMs,
    keyUsages,
    charge: () => context.charge(SIGNATURE_STEPS),
  };
  const chain = verifyChain(end, root, certificates.slice(1, -1), options);
  return chain === undefined ? UNVERIFIED : [true, chain.map(show)];
}

const UNVERIFIED: Value = [false, []];

/** Go's numbers of extended key usages by OPA's names, in their order. */
const USAGE_NAMES: readonly string[] = [
  'KeyUsageAny',
  'KeyUsageServerAuth',
  'KeyUsageClientAuth',
  'KeyUsageCodeSigning',
  'KeyUsageEmailProtection',
  'KeyUsageIPSECEndSystem',
  'KeyUsageIPSECTunnel',
  'KeyUsageIPSECUser',
  'KeyUsageTimeStamping',
  'KeyUsageOCSPSigning',
  'KeyUsageMicrosoftServerGatedCrypto',
  'KeyUsageNetscapeServerGatedCrypto',
  'KeyUsageMicrosoftCommercialCodeSigning',
  'KeyUsageMicrosoftKernelCodeSigning',
];

function readOptions(context: BuiltinContext, given: ObjectValue): ChainOptions {
  let { dnsName, atMs, keyUsages } = NO_OPTIONS();
  for (const [key, value] of sortedEntries(given)) {
    // OPA passes over keys that are no texts.
    if (typeof key !== 'string') continue;
    switch (key) {
      case 'DNSName':
        if (typeof value !== 'string') throw builtinFailure(context, "'DNSName' should be a string");
        dnsName = withoutQuotes(value);
        break;
      case 'CurrentTime':
        atMs = nanosToMs(context, value);
        break;
      case 'MaxConstraintComparisons':
        // Go takes no account of it any more either.
        if (!isNumber(value)) throw builtinFailure(context, "'MaxConstraintComparisons' should be a number");
        if (!isInt64(value)) throw builtinFailure(context, "'MaxConstraintComparisons' should be a valid number");
        break;
      case 'KeyUsages':
        keyUsages = readUsages(context, value);
        break;
      default:
        throw builtinFailure(context, 'invalid key option');
    }
  }
  return { dnsName, atMs, keyUsages };
}

function nanosToMs(context: BuiltinContext, value: Value): number | undefined {
  if (!isNumber(value)) throw builtinFailure(context, "'CurrentTime' should be a number");
  if (!isInt64(value)) throw builtinFailure(context, "'CurrentTime' should be a valid int64 number");
  return toDouble(value) / 1e6;
}

const MAX_INT64 = 2n ** 63n - 1n;

function isInt64(value: Value): boolean {
  const integer = isNumber(value) ? toBigInt(value) : undefined;
  return integer !== undefined && integer <= MAX_INT64 && integer >= -MAX_INT64 - 1n;
}

function readUsages(context: BuiltinContext, value: Value): readonly number[] {
  const items = isArray(value) ? value : value instanceof RegoSet ? value.sorted() : undefined;
  if (items === undefined) throw builtinFailure(context, "'KeyUsages' should be an Array or Set");
  const names = items.filter((item) => typeof item === 'string').map(withoutQuotes);
  const unknown = names.filter((name) => !USAGE_NAMES.includes(name));
  if (unknown.length > 0) {
    throw builtinFailure(context, `invalid entries for 'KeyUsages' found: [${unknown.join(' ')}]`);
  }
  return names.map((name) => USAGE_NAMES.indexOf(name));
}

function withoutQuotes(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text.charAt(start) === '"') start++;
  while (end > start && text.charAt(end - 1) === '"') end--;
  return text.slice(start, end);
}

/** A request in PEM, in DER as base64, or in PEM as base64. */
function requestDer(text: string): Buffer {
  const pem = text.startsWith('-----BEGIN CERTIFICATE REQUEST-----');
  const bytes = pem ? undefined : decodeStandard(text);
  const block = nextPemBlock(bytes === undefined ? text : bytes.toString('latin1'));
  if (block === undefined) return bytes ?? Buffer.from(text);
  return block.type === 'CERTIFICATE REQUEST' ? block.bytes : fail('invalid PEM-encoded certificate signing request');
}

/** PEM as it is or as base64; DER as base64 is a block of the type that is wanted. */
function pemText(text: string, type: string): readonly PemBlock[] {
  if (text.startsWith('-----BEGIN ')) return pemBlocks(text);
  const bytes = decodeStandard(text);
  const inner = bytes.toString('latin1');
  return inner.startsWith('-----BEGIN ') ? pemBlocks(inner) : [{ type, bytes, rest: '' }];
}

/** The first private key as a JWK. */
function firstKey(context: BuiltinContext, text: string): Value {
  if (text === '') fail('input PEM data was empty');
  const pem = text.startsWith(BEGIN) ? text : decodeStandard(text).toString('latin1');
  const [key] = readKeys(context, pem);
  return key === undefined ? null : privateJwk(key);
}

function allKeys(context: BuiltinContext, text: string): Value {
  return text === '' ? null : readKeys(context, text).map(privateKeyValue);
}

/** Private keys in PEM, or in PEM as base64; blocks of other types are passed over. */
function readKeys(context: BuiltinContext, text: string): readonly KeyObject[] {
  const bytes = decodeBase64(text, 'standard');
  const keys: KeyObject[] = [];
  for (const block of pemBlocks(typeof bytes === 'number' ? text : bytes.toString('latin1'))) {
    context.charge(KEY_STEPS);
    const key = readPrivateKey(block);
    if (key !== undefined) keys.push(key);
  }
  return keys;
}
