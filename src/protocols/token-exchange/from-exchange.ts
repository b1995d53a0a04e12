import type { TokenError } from './to-token-request.ts';

/** What became of a presented key. */
export type Exchanged =
  | { readonly kind: 'issued'; readonly token: string; readonly expiresInSeconds: number }
  | { readonly kind: 'refused' }
  | { readonly kind: 'repeated' }
  | { readonly kind: 'unavailable' };

/** One HTTP answer, whole. */
export interface TokenAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** RFC 6749 §5.1 and §5.2. Every refused key gets the same answer, so that it tells nothing of keys. */
export function fromExchange(exchanged: Exchanged): TokenAnswer {
  switch (exchanged.kind) {
    case 'issued': {
      const { token, expiresInSeconds } = exchanged;
      return answer(200, { access_token: token, token_type: 'Bearer', expires_in: expiresInSeconds });
    }
    case 'refused':
      return tokenError('invalid_client');
    case 'repeated':
      return answer(429, { error: 'invalid_client' });
    case 'unavailable':
      return UNAVAILABLE;
  }
}

export function tokenError(error: TokenError): TokenAnswer {
  if (error === 'invalid_client') return answer(401, { error }, { 'www-authenticate': 'Basic realm="token"' });
  return answer(400, { error });
}

/** An answer that is no business of OAuth's: a wrong path, a wrong method, too much. */
export function plainAnswer(status: number, headers: Readonly<Record<string, string>> = {}): TokenAnswer {
  return answer(status, { error: 'invalid_request' }, headers);
}

/** A public document that whoever verifies the tokens may keep for a while. */
export function keySetAnswer(keys: { readonly keys: readonly unknown[] }): TokenAnswer {
  return {
    status: 200,
    headers: { 'content-type': 'application/jwk-set+json', 'cache-control': 'public, max-age=60' },
    body: JSON.stringify(keys),
  };
}

function answer(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): TokenAnswer {
  return {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', pragma: 'no-cache', ...headers },
    body: JSON.stringify(body),
  };
}

/** Nothing can be told at present: too much under way, no key directory, no signing key. */
export const UNAVAILABLE: TokenAnswer = answer(503, { error: 'temporarily_unavailable' }, { 'retry-after': '1' });
