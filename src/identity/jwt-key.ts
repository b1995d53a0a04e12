import type { CryptoKey } from 'jose';
import type { Instant } from '../decision/ports.ts';
import { CredentialFault } from './credential-fault.ts';
import type { KeySource } from './jwks.ts';
import type { KeySet } from './key-set.ts';

/** The key that may verify a token, and the set it is from. */
export interface SelectedKey {
  readonly set: KeySet;
  readonly key: CryptoKey;
}

/** What a token says of its key. */
export interface WantedKey {
  readonly algorithm: string;
  readonly kid: string | undefined;
}

/**
 * Finds the one key of an issuer that may verify a token; an unknown one causes at most one refresh per cool-down.
 * Throws {@link CredentialFault} when there is none.
 */
export async function selectKey(keys: KeySource, wanted: WantedKey, at: Instant): Promise<SelectedKey> {
  const set = keys.current(at);
  const key = set === undefined ? undefined : keyFor(wanted, set);
  if (set !== undefined && key !== undefined) return { set, key };
  await keys.refresh();
  const newer = keys.current(at);
  if (newer === undefined) throw new CredentialFault('the keys of the issuer are not available', 'issuer_unavailable');
  const newKey = keyFor(wanted, newer);
  if (newKey === undefined) throw new CredentialFault('the token names a key that its issuer does not publish');
  return { set: newer, key: newKey };
}

/** `undefined` when the set has no such key; throws when it has one, or several, that must not be used. */
function keyFor({ kid, algorithm }: WantedKey, set: KeySet): CryptoKey | undefined {
  if (kid !== undefined) {
    const named = set.byKid.get(kid);
    if (named === undefined) return undefined;
    const key = named.byAlgorithm.get(algorithm);
    if (key === undefined) throw new CredentialFault('the key that the token names is for another algorithm');
    return key;
  }
  const [only, ...others] = set.keys.flatMap((key) => key.byAlgorithm.get(algorithm) ?? []);
  if (others.length > 0) throw new CredentialFault('the token names no key and its issuer has several');
  return only;
}
