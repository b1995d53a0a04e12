import { isObject } from '../decision/json.ts';
import { type Io, UsageError } from './command.ts';

/** What a command asks of a bundle server. */
export interface ServerRequest {
  readonly url: string;
  readonly method: 'GET' | 'PUT' | 'POST';
  readonly token: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

const TIMEOUT_MS = 60_000;

/** The JSON object that the server answers; its refusals are Errors in its own words. */
export async function askServer(request: ServerRequest): Promise<{ readonly [name: string]: unknown }> {
  const { url, method, token, headers, body } = request;
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method,
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
      // A copy: the body of a request wants bytes that no other thread can change.
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : new Uint8Array(body) }),
    });
    text = await response.text();
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`\`${url}\` does not answer: ${why}`, { cause: error });
  }
  const value = parse(text);
  if (response.status === 200 || response.status === 201) {
    if (value === undefined) throw new Error(`\`${url}\` answered with no JSON object; is it a bundle server?`);
    return value;
  }
  const detail = typeof value?.['detail'] === 'string' ? value['detail'] : 'no reason given';
  const reason = typeof value?.['reason'] === 'string' ? ` (${value['reason']})` : '';
  throw new Error(`the server answered ${response.status}${reason}: ${printable(detail)}`);
}

/** The token of `--token-env`, which is the name of a variable: a token among arguments is seen by everybody here. */
export function tokenOf(name: string | undefined, io: Io): string | undefined {
  if (name === undefined) return undefined;
  const token = io.env[name];
  if (token === undefined || token === '') throw new UsageError(`the environment variable \`${name}\` is not set`);
  return token;
}

/** The address of a bundle at its server, as agents have it in `url`: `https://bundles.internal/v1/bundles/authz`. */
export function bundleUrlOf(text: string | undefined, flag: string): { readonly url: string; readonly name: string } {
  const url = serverUrlOf(text, flag);
  const name = /^\/v1\/bundles\/([a-z0-9][a-z0-9_-]{0,62})$/.exec(new URL(url).pathname)?.[1];
  if (name === undefined) throw new UsageError(`\`${flag}\` names no bundle: write https://HOST/v1/bundles/NAME`);
  return { url, name };
}

/** An address that a token may be sent to: https, or this machine. */
export function serverUrlOf(text: string | undefined, flag: string): string {
  if (text === undefined) throw new UsageError(`name the server with ${flag} URL`);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.search !== '' || url.hash !== '' || url.username !== '') {
    throw new UsageError(`\`${flag} ${text}\` is no plain URL`);
  }
  const isHere = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isHere)) {
    throw new UsageError(`\`${flag} ${text}\` is not https: a token would be sent in the clear`);
  }
  return text.replace(/\/$/, '');
}

/** What came from elsewhere, without what a terminal would obey. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028-\u202e\u2066-\u2069\ufeff]/gu, '\u{fffd}');
}

function parse(text: string): { readonly [name: string]: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
