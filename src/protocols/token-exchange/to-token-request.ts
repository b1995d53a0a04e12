import { decodeFormText, type Form, parseForm } from './form.ts';

/** An API key as its holder presents it, unverified: in one text, or as a client's id and secret. */
export type PresentedKey =
  | { readonly kind: 'whole'; readonly apiKey: string }
  | { readonly kind: 'pair'; readonly keyId: string; readonly secret: string };

/** RFC 6749 §5.2, as far as they occur here. */
export type TokenError = 'invalid_request' | 'invalid_client' | 'unsupported_grant_type' | 'invalid_scope';

/** The parts of an HTTP request that ask for a token. */
export interface TokenPost {
  readonly contentTypes: readonly string[];
  readonly authorizations: readonly string[];
  readonly apiKeys: readonly string[];
  readonly body: Uint8Array;
}

/**
 * Reads a client credentials request (RFC 6749 §4.4.2) whose client is an API key: in `x-api-key`, by HTTP Basic, or
 * as `client_id` and `client_secret` of the form; exactly one of the three (§2.3).
 */
export function toTokenRequest(post: TokenPost): PresentedKey | TokenError {
  const [contentType, ...others] = post.contentTypes;
  if (contentType === undefined || others.length > 0 || !FORM_TYPE.test(contentType)) return 'invalid_request';
  const form = parseForm(post.body);
  if (form === undefined) return 'invalid_request';
  const presented = [fromHeader(post.apiKeys), fromBasic(post.authorizations), fromForm(form)].filter(
    (one) => one !== undefined,
  );
  const [only, ...more] = presented;
  if (more.length > 0) return 'invalid_request';
  const grantType = form.get('grant_type') ?? '';
  if (grantType === '') return 'invalid_request';
  if (grantType !== 'client_credentials') return 'unsupported_grant_type';
  // The token is good for what its key is good for; there is nothing to choose.
  if ((form.get('scope') ?? '') !== '') return 'invalid_scope';
  return only ?? 'invalid_client';
}

const FORM_TYPE = /^application\/x-www-form-urlencoded(?:[ \t]*;[ \t]*charset="?utf-8"?)?[ \t]*$/i;

type Presented = PresentedKey | TokenError | undefined;

function fromHeader([apiKey, ...others]: readonly string[]): Presented {
  if (apiKey === undefined) return undefined;
  return others.length > 0 ? 'invalid_request' : { kind: 'whole', apiKey };
}

const BASIC = /^basic ([A-Za-z0-9+/]+={0,2})$/i;

function fromBasic([authorization, ...others]: readonly string[]): Presented {
  if (authorization === undefined) return undefined;
  if (others.length > 0) return 'invalid_request';
  const encoded = BASIC.exec(authorization)?.[1];
  if (encoded === undefined) return 'invalid_client';
  const decoded = Buffer.from(encoded, 'base64').toString('latin1');
  const end = decoded.indexOf(':');
  if (end === -1) return 'invalid_client';
  try {
    // RFC 6749 §2.3.1: both are encoded as in a form first.
    return {
      kind: 'pair',
      keyId: decodeFormText(decoded.slice(0, end)),
      secret: decodeFormText(decoded.slice(end + 1)),
    };
  } catch {
    return 'invalid_client';
  }
}

function fromForm(form: Form): Presented {
  const keyId = form.get('client_id');
  const secret = form.get('client_secret');
  if (keyId === undefined && secret === undefined) return undefined;
  return { kind: 'pair', keyId: keyId ?? '', secret: secret ?? '' };
}
