import { isObject, type JsonValue, RawJson } from './json.ts';
import type { Principal } from './principal.ts';

/**
 * Replaces every text that carries a verified credential by its digest, so that no policy can copy the credential
 * out. Raw header values (base64 in `headerMap`) are found by header name.
 */
export function createCredentialMask(
  principal: Principal | undefined,
  digest: (text: string) => string,
): (value: JsonValue) => JsonValue {
  const secrets = (principal?.credentials ?? []).flatMap(({ header, presented }) =>
    presented === undefined ? [] : [{ header: header?.toLowerCase(), presented, token: tokenOf(presented) }],
  );
  if (secrets.length === 0) return (value) => value;

  const maskText = (text: string): string => {
    const found = secrets.find(({ token }) => text.includes(token));
    return found === undefined ? text : digest(found.presented);
  };

  const mask = (value: JsonValue | undefined): JsonValue | undefined => {
    if (typeof value === 'string') return maskText(value);
    if (Array.isArray(value)) return value.map((item: JsonValue) => mask(item) ?? null);
    if (value instanceof RawJson || !isObject(value)) return value;
    const object = value as { readonly [key: string]: JsonValue | undefined };
    const raw = secrets.find(({ header }) => header !== undefined && rawHeaderName(object) === header);
    // Entries, not assignment: a caller may name a key `__proto__`.
    return Object.fromEntries(
      Object.entries(object).map(([key, member]) => [
        key,
        raw !== undefined && key === 'rawValue' ? digest(raw.presented) : mask(member),
      ]),
    );
  };
  return (value) => mask(value) ?? null;
}

/** The part after the scheme: it is the secret also where the scheme was cut off. */
function tokenOf(presented: string): string {
  return presented.slice(presented.indexOf(' ') + 1);
}

function rawHeaderName(object: { readonly [key: string]: JsonValue | undefined }): string | undefined {
  if (!Object.hasOwn(object, 'rawValue') || !Object.hasOwn(object, 'key')) return undefined;
  const name = object['key'];
  return typeof name === 'string' ? name.toLowerCase() : undefined;
}
