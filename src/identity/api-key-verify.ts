import { hash, timingSafeEqual } from 'node:crypto';
import type { Instant } from '../decision/ports.ts';
import type { KeyDirectory } from './api-key-directory.ts';
import { parseApiKey } from './api-key-format.ts';
import { type KeyRecord, recordFault } from './api-key-record.ts';
import { CredentialFault } from './credential-fault.ts';

/** What became of a key that was presented; `keyId` only of a key that exists. */
export type KeyJudgement =
  | { readonly kind: 'held'; readonly record: KeyRecord }
  | {
      readonly kind: 'refused';
      readonly code: CredentialFault['code'];
      readonly cause: string;
      readonly keyId?: string;
    };

/**
 * Judges `sp_<key id>_<secret>` as it stands now: looked up by id, its secret's digest compared in constant time, with
 * a digest of nothing where there is no such id; then revocation, times and address. Never throws for a bad key.
 */
export function verifyApiKey(
  directory: KeyDirectory,
  token: string,
  at: Instant,
  clientAddress: () => string | undefined,
): KeyJudgement | Promise<KeyJudgement> {
  const key = parseApiKey(token);
  if (key === undefined) return refused('the API key is malformed');
  try {
    const found = directory.find(key.id, at);
    if (!(found instanceof Promise)) return judge(found, key.secret, at, clientAddress);
    return found.then((record) => judge(record, key.secret, at, clientAddress), toRefusal);
  } catch (error) {
    return toRefusal(error);
  }
}

/** The digest that a directory keeps of a secret. */
export function digestSecret(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}

const NO_SECRET = Buffer.alloc(32);

function judge(
  record: KeyRecord | undefined,
  secret: string,
  at: Instant,
  clientAddress: () => string | undefined,
): KeyJudgement {
  const equal = timingSafeEqual(digestSecret(secret), record?.secretDigest ?? NO_SECRET);
  if (record === undefined) return refused('there is no such API key');
  if (!equal) return refused('the secret of the API key is wrong', record.id);
  const fault = recordFault(record, at, clientAddress);
  return fault === undefined ? { kind: 'held', record } : refused(fault, record.id);
}

function refused(cause: string, keyId?: string): KeyJudgement {
  return { kind: 'refused', code: 'invalid_credential', cause, ...(keyId === undefined ? {} : { keyId }) };
}

function toRefusal(error: unknown): KeyJudgement {
  if (error instanceof CredentialFault) return { kind: 'refused', code: error.code, cause: error.message };
  throw error;
}
