import { createPublicKey, type KeyObject } from 'node:crypto';
import type { PlainObject } from '../../values/value.ts';
import type { PemBlock } from '../pem.ts';
import { readCertificate } from './certificate.ts';
import { base64, certificateValue } from './certificate-value.ts';
import { importPrivateKey, type KeyFormat, privateKeyValue } from './private-key.ts';
import type { PublicKey } from './public-key.ts';
import { fail, X509Error } from './x509-error.ts';

/**
 * Certificates and the private key of the first as OPA shows them: the fields of Go's `tls.Certificate` as JSON.
 * Throws an `X509Error`, also when they do not belong together.
 */
export function keyPairValue(
  certificates: readonly PemBlock[],
  keys: readonly PemBlock[],
  charge: () => void,
): PlainObject {
  const chain = certificates.filter(({ type }) => type === 'CERTIFICATE').map(({ bytes }) => bytes);
  const [first] = chain;
  if (first === undefined) return noCertificate(certificates.map(({ type }) => type));
  const key = keys.find(({ type }) => type === 'PRIVATE KEY' || type.endsWith(' PRIVATE KEY'));
  if (key === undefined) return noKey(keys.map(({ type }) => type));
  charge();
  const leaf = readCertificate(first);
  charge();
  const privateKey = readAnyKey(key.bytes);
  checkPair(leaf.publicKey, privateKey);
  return {
    Certificate: chain.map(base64),
    Leaf: certificateValue(leaf),
    OCSPStaple: null,
    PrivateKey: privateKeyValue(privateKey),
    SignedCertificateTimestamps: null,
    SupportedSignatureAlgorithms: null,
  };
}

function noCertificate(types: readonly string[]): never {
  if (types.length === 0) return fail('tls: failed to find any PEM data in certificate input');
  return types.length === 1 && types[0]?.endsWith('PRIVATE KEY')
    ? fail(
        'tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched',
      )
    : fail(
        `tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following types: [${types.join(' ')}]`,
      );
}

function noKey(types: readonly string[]): never {
  if (types.length === 0) return fail('tls: failed to find any PEM data in key input');
  return types.length === 1 && types[0] === 'CERTIFICATE'
    ? fail('tls: found a certificate rather than a key in the PEM for the private key')
    : fail(
        `tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the following types: [${types.join(' ')}]`,
      );
}

const FORMATS: readonly KeyFormat[] = ['pkcs1', 'pkcs8', 'sec1'];

/** In whichever format it is, as TLS servers take it. */
function readAnyKey(der: Buffer): KeyObject {
  for (const format of FORMATS) {
    try {
      return importPrivateKey(der, format);
    } catch (error) {
      if (!(error instanceof X509Error)) throw error;
    }
  }
  return fail('tls: failed to parse private key');
}

function checkPair(publicKey: PublicKey, privateKey: KeyObject): void {
  const key = publicKey.key ?? fail('tls: unknown public key algorithm');
  if (key.asymmetricKeyType !== privateKey.asymmetricKeyType) {
    fail('tls: private key type does not match public key type');
  }
  if (!createPublicKey(privateKey).equals(key)) fail('tls: private key does not match public key');
}
