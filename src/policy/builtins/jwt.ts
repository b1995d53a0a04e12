import { memberOf } from '../values/object.ts';
import type { Value } from '../values/value.ts';
import { type Builtin, type BuiltinContext, type Builtins, builtinFailure, textOperand } from './builtin.ts';
import { decodeVerify } from './jwt-decode-verify.ts';
import { KeyFault } from './jwt-key-fault.ts';
import { anyKey, verificationKeys } from './jwt-keys.ts';
import { encodeSign, encodeSignRaw } from './jwt-sign.ts';
import { algorithmOf, type Digest, verifyHmac, verifySignature } from './jwt-signature.ts';
import {
  decodeHeader,
  decodePart,
  decodePayload,
  decodeSignature,
  jsonObject,
  readHeader,
  splitToken,
} from './jwt-token.ts';

const SIZES = ['256', '384', '512'] as const;

/** OPA's `io.jwt` family. A signature that was found to be good is never remembered. */
export const JWT_BUILTINS: Builtins = new Map<string, Builtin>([
  ['io.jwt.decode', decode],
  ['io.jwt.decode_verify', guarded(decodeVerify)],
  ['io.jwt.encode_sign', guarded(encodeSign)],
  ['io.jwt.encode_sign_raw', guarded(encodeSignRaw)],
  ['io.jwt.verify_eddsa', verifier('EdDSA')],
  ...SIZES.flatMap((size) => [
    ...(['rs', 'ps', 'es'] as const).map(
      (family) => [`io.jwt.verify_${family}${size}`, verifier(`${family.toUpperCase()}${size}`)] as const,
    ),
    [`io.jwt.verify_hs${size}`, hmacVerifier(`sha${size}`)] as const,
  ]),
]);

/** Makes what is wrong with a key a failure of the builtin. */
function guarded(builtin: Builtin): Builtin {
  return (context, a, b, c, d) => {
    try {
      return builtin(context, a, b, c, d);
    } catch (error) {
      if (error instanceof KeyFault) throw builtinFailure(context, error.message);
      throw error;
    }
  };
}

function decode(context: BuiltinContext, operand: Value): Value {
  const token = splitToken(context, operand);
  const header = decodeHeader(context, token);
  const payload = decodePayload(context, token);
  const contentType = memberOf(header, 'cty');
  if (contentType !== undefined && typeof contentType !== 'string') {
    throw builtinFailure(context, 'cty: must be a string');
  }
  // A token within is shorter by a quarter; some write it with quotes.
  if (contentType === 'JWT') return decode(context, withoutQuotes(payload));
  const claims = jsonObject(context, payload, '');
  const signature = decodePart(context, token.signature, 'JWT signature had invalid encoding: ');
  return [header, claims, signature.toString('hex')];
}

function withoutQuotes(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && `"'`.includes(text.charAt(start))) start++;
  while (end > start && `"'`.includes(text.charAt(end - 1))) end--;
  return text.slice(start, end);
}

function verifier(alg: string): Builtin {
  const algorithm = algorithmOf(alg);
  if (algorithm === undefined) throw new TypeError(`no algorithm \`${alg}\``);
  return guarded((context, operand, keyText) => {
    const token = splitToken(context, operand);
    const keys = verificationKeys(context, textOperand(context, keyText, 2));
    const signature = decodeSignature(context, token);
    const header = readHeader(context, decodeHeader(context, token));
    return anyKey(keys, header, (key) =>
      // To OPA a private key does not verify here.
      key?.type === 'private' ? false : verifySignature(context, algorithm, key, token.signed, signature, false),
    );
  });
}

function hmacVerifier(digest: Digest): Builtin {
  return (context, operand, secretOperand) => {
    textOperand(context, operand, 1);
    const secret = textOperand(context, secretOperand, 2);
    const token = splitToken(context, operand);
    context.charge(1_000 + ((secret.length + token.signed.length) >> 3));
    return verifyHmac(digest, secret, token.signed, decodeSignature(context, token));
  };
}
