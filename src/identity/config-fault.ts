/** One thing wrong with `identity:`, at a dotted path such as `identity.jwt.issuers[0].audiences`. */
export interface ConfigFault {
  readonly path: string;
  readonly message: string;
}

/** Reads a file that config names; throws when it cannot. */
export type ReadConfigFile = (path: string) => Uint8Array;

/** What is wrong with an address from which something is read that will be believed; `undefined` when nothing is. */
export function urlFault(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null) return `\`${text}\` is no url`;
  if (url.username !== '' || url.password !== '') return 'the url must not hold credentials';
  if (url.protocol === 'https:') return undefined;
  if (url.protocol === 'http:' && isLoopbackName(url.hostname)) return undefined;
  return `\`${text}\` must use https: what travels in the clear can be read and replaced`;
}

/** Whether a url's host is this machine; the URL parser has made every way to write an IPv4 address one. */
export function isLoopbackName(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/** Every claim that begins like a JSON pointer (RFC 6901) and is none. */
export function pointerFaults(claims: object, path: string): readonly ConfigFault[] {
  return Object.entries(claims)
    .filter(([, pointer]) => typeof pointer === 'string' && pointer.startsWith('/') && /~(?![01])/.test(pointer))
    .map(([name, pointer]) => ({
      path: Array.isArray(claims) ? `${path}[${name}]` : `${path}.${name}`,
      message: `\`${pointer}\` is no JSON pointer: write ~ as ~0`,
    }));
}

/** What an unknown thing that was thrown says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** JSON Schema of a text of reasonable length. */
export const configText = { type: 'string', minLength: 1, maxLength: 2048 } as const;
