import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { type Builtin, type Builtins, stringAt } from './builtin.ts';

/** OPA's `crypto` family without certificates and private keys: digests and HMACs, as lower-case hex. */
export const CRYPTO_BUILTINS: Builtins = new Map<string, Builtin>([
  ['crypto.md5', digest('md5')],
  ['crypto.sha1', digest('sha1')],
  ['crypto.sha256', digest('sha256')],
  ['crypto.hmac.md5', hmac('md5')],
  ['crypto.hmac.sha1', hmac('sha1')],
  ['crypto.hmac.sha256', hmac('sha256')],
  ['crypto.hmac.sha512', hmac('sha512')],
  ['crypto.hmac.equal', (args) => equalText(stringAt(args, 0), stringAt(args, 1))],
]);

function digest(algorithm: string): Builtin {
  return (args) => createHash(algorithm).update(stringAt(args, 0), 'utf8').digest('hex');
}

function hmac(algorithm: string): Builtin {
  return (args) => createHmac(algorithm, stringAt(args, 1)).update(stringAt(args, 0), 'utf8').digest('hex');
}

function equalText(left: string, right: string): boolean {
  const a = Buffer.from(left);
  const b = Buffer.from(right);
  return a.length === b.length && timingSafeEqual(a, b);
}
