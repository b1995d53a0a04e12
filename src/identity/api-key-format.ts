/** What a caller presents, taken apart; the secret is never kept, logged or shown. */
export interface ApiKey {
  readonly id: string;
  /** 43 characters: 256 bits as canonical base64url. */
  readonly secret: string;
}

/** What every API key begins with, and no other credential: such a token belongs to the API keys, well formed or not. */
export const API_KEY_PREFIX = 'sp_';

/** Whether a token is meant as an API key; says nothing of whether it reads well or holds. */
export function isApiKey(token: string): boolean {
  return token.startsWith(API_KEY_PREFIX);
}

/** Reads `sp_<key id>_<secret>` exactly; `undefined` for anything else. Proves nothing. */
export function parseApiKey(token: string): ApiKey | undefined {
  if (token.length > MAX_LENGTH || !API_KEY.test(token)) return undefined;
  const end = token.length - SECRET_LENGTH;
  return { id: token.slice(API_KEY_PREFIX.length, end - 1), secret: token.slice(end) };
}

/** Whether a text may be the id of a key. */
export function isKeyId(text: string): boolean {
  return KEY_ID.test(text);
}

/** Puts a key together as the caller gets to see it, once. */
export function toApiKeyText({ id, secret }: ApiKey): string {
  return `${API_KEY_PREFIX}${id}_${secret}`;
}

const SECRET_LENGTH = 43;
const MAX_LENGTH = API_KEY_PREFIX.length + 20 + 1 + SECRET_LENGTH;

const KEY_ID = /^[a-z0-9]{12,20}$/;

/** An id has no `_`, so the first one after it ends it; the last character of 256 bits carries four of them. */
const API_KEY = /^sp_[a-z0-9]{12,20}_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;
