import { toApiKeyText } from './api-key-format.ts';
import { digestSecret } from './api-key-verify.ts';

/** A key that was just made: `text` is shown once and kept nowhere. */
export interface NewApiKey {
  readonly id: string;
  /** Hex, as a keys file holds it. */
  readonly sha256: string;
  /** `sp_<key id>_<secret>`. */
  readonly text: string;
}

/** Makes a key of 256 random bits; its id is random too (79 bits) and begins with a letter, so that no YAML reads a number. */
export function createApiKey(randomBytes: (size: number) => Uint8Array): NewApiKey {
  const id = [...randomBytes(ID_LENGTH)].map((byte, index) => LETTERS[byte % (index === 0 ? 16 : 32)] ?? '').join('');
  const secret = Buffer.from(randomBytes(32)).toString('base64url');
  return { id, sha256: digestSecret(secret).toString('hex'), text: toApiKeyText({ id, secret }) };
}

const ID_LENGTH = 16;
const LETTERS = 'abcdefghijklmnopqrstuvwxyz234567';
