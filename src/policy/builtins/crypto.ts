import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import { type Builtin, type Builtins, textOperand } from './builtin.ts';
import { toBytes } from './bytes.ts';

/** OPA's digests and HMACs, as lower-case hex. */
export const CRYPTO_BUILTINS: Builtins = new Map<string, Builtin>([
  ['crypto.md5', digest('md5')],
  ['crypto.sha1', digest('sha1')],
  ['crypto.sha256', digest('sha256')],
  ['crypto.hmac.md5', hmac('md5')],
  ['crypto.hmac.sha1', hmac('sha1')],
  ['crypto.hmac.sha256', hmac('sha256')],
  ['crypto.hmac.sha512', hmac('sha512')],
  [
    'crypto.hmac.equal',
    (context, left, right) => isSameText(textOperand(context, left, 1), textOperand(context, right, 2)),
  ],
]);

/** What a digest costs at most, in steps of some 10 ns: a call of the library and its pass over the text. */
const CALL_STEPS = 150;
const BYTES_PER_STEP = 4;

function digest(algorithm: string): Builtin {
  return (context, message) => {
    const text = textOperand(context, message, 1);
    context.charge(CALL_STEPS + text.length / BYTES_PER_STEP);
    return hash(algorithm, toBytes(text), 'hex');
  };
}

function hmac(algorithm: string): Builtin {
  return (context, message, secret) => {
    const text = textOperand(context, message, 1);
    const key = textOperand(context, secret, 2);
    context.charge(2 * CALL_STEPS + (text.length + key.length) / BYTES_PER_STEP);
    return createHmac(algorithm, toBytes(key)).update(toBytes(text)).digest('hex');
  };
}

/** In a time that depends on the lengths only. */
function isSameText(left: string, right: string): boolean {
  const a = toBytes(left);
  const b = toBytes(right);
  return a.length === b.length && timingSafeEqual(a, b);
}
