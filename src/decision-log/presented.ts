import type { RequestHeaders } from '../decision/access-request.ts';
import type { Outcome } from '../decision/ports.ts';
import type { Principal } from '../decision/principal.ts';
import { RUN_AT_LEAST, type RunSearch, Runs } from './runs.ts';

/** The credentials that one request presented, in a form that finds them again in other texts. */
export interface PresentedCredentials {
  /** Whose one credential this is, when the request presented nothing else: one object for equal principals. */
  readonly onlyBy?: Principal;
  /**
   * The text with every credential in it replaced, the same text when there is none. `exact` looks for whole
   * credentials only; otherwise a shared run of 24 characters is enough, since texts may have been cut on their way.
   */
  mask(text: string, exact: boolean): string;
}

/** What stands where a credential stood. */
export const MASKED = '[masked]';

/** Collects from headers that carry credentials; `undefined` when there are none, which makes masking free. */
export function presentedCredentials({ request, principal }: Outcome): PresentedCredentials | undefined {
  if ('unreadable' in request) return undefined;
  const { headers } = request;
  if (principal !== undefined && presentsOnly(headers, principal)) return presentedOnlyBy(principal);
  const found = new Collected();
  for (const name of TOKEN_HEADERS) addTokens(found, headers.all(name));
  for (const value of headers.all('cookie')) found.addCookies(value);
  for (const { header, presented } of principal?.credentials ?? []) {
    if (presented !== undefined) found.addToken(presented);
    if (header !== undefined && header !== 'cookie' && !TOKEN_HEADERS.includes(header)) {
      addTokens(found, headers.all(header));
    }
  }
  return presented(found.finish());
}

/** Whether the credential of the principal, in `authorization`, is all that the request presents. */
function presentsOnly(headers: RequestHeaders, { credentials }: Principal): boolean {
  const [credential] = credentials;
  if (credentials.length !== 1 || credential?.header !== 'authorization') return false;
  const values = headers.all('authorization');
  return (
    values.length === 1 &&
    values[0] === credential.presented &&
    headers.all('cookie').length === 0 &&
    headers.all('x-api-key').length === 0 &&
    headers.all('proxy-authorization').length === 0 &&
    headers.all('dpop').length === 0
  );
}

/**
 * A verified token comes with many requests, and taking it apart costs more than searching for it. Its claims are one
 * object for all of them, the principal is not.
 */
const KNOWN = new WeakMap<Principal['claims'], { readonly principal: Principal; readonly found: Found }>();

function presentedOnlyBy(principal: Principal): PresentedCredentials | undefined {
  const known = KNOWN.get(principal.claims);
  if (known !== undefined && (known.principal === principal || isSame(known.principal, principal)))
    return presented(known.found, known.principal);
  const collected = new Collected();
  collected.addToken(principal.credentials[0]?.presented ?? '');
  const found = collected.finish();
  KNOWN.set(principal.claims, { principal, found });
  return presented(found, principal);
}

/** Whether all that events say of one holds for the other, whose one credential is the same too. */
function isSame(one: Principal, other: Principal): boolean {
  return (
    one.kind === other.kind &&
    one.subject === other.subject &&
    one.issuer === other.issuer &&
    one.tenant === other.tenant &&
    one.tier === other.tier &&
    one.roles === other.roles &&
    one.scopes === other.scopes &&
    one.keyId === other.keyId &&
    one.credentials[0]?.presented === other.credentials[0]?.presented
  );
}

/** A DPoP proof is good once for each instance that has not seen it yet. */
const TOKEN_HEADERS = ['authorization', 'proxy-authorization', 'x-api-key', 'dpop'];

function addTokens(found: Collected, values: readonly string[]): void {
  for (const value of values) found.addToken(value);
}

/** Shorter texts are no credentials: replacing them would make events unreadable and guard nothing. */
const SHORTEST_TOKEN = 6;
const SHORTEST_COOKIE = 8;
const SHORTEST_TOKEN_PART = 16;
/** A request with more than this hides something in numbers; then every text of the caller's is masked. */
const MAX_PIECES = 256;
/** Bounds the search for shared runs; credentials beyond it are still found whole. */
const MAX_RUNS = 16 * 1024;
/** Authentication schemes, which stand beside credentials and are none. */
const SCHEMES = new Set(['bearer', 'basic', 'digest', 'negotiate', 'token', 'apikey', 'dpop']);

class Collected {
  readonly #values: string[] = [];
  /** Lower case: a host is logged in lower case, and a token put there would be too. */
  readonly #pieces: string[] = [];
  /** Texts that are searched for runs shared with a logged text. */
  #runs = '';

  addToken(value: string): void {
    // The header that identity read is the header that is read here.
    if (this.#values.includes(value)) return;
    this.#values.push(value);
    const lower = value.toLowerCase();
    this.#addPiece(lower, SHORTEST_TOKEN);
    this.#addRuns(lower);
    for (const part of tokensOf(lower)) {
      if (SCHEMES.has(part)) continue;
      if (part.length < lower.length) this.#addPiece(part, SHORTEST_TOKEN);
      this.#addTokenParts(part);
    }
    if (lower.startsWith('basic ')) this.#addBasic(value);
  }

  addCookies(header: string): void {
    this.#addPiece(header.toLowerCase(), SHORTEST_COOKIE);
    for (const cookie of header.split(';')) {
      const value = cookie.slice(cookie.indexOf('=') + 1).trim();
      const lower = (value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value).toLowerCase();
      this.#addPiece(lower, SHORTEST_COOKIE);
      this.#addTokenParts(lower);
      this.#addPiece(percentDecoded(lower), SHORTEST_COOKIE);
      // A path kept in a cookie shares runs with the path of the request, and is no credential.
      if (!lower.includes('/')) this.#addRuns(lower);
    }
  }

  finish(): Found {
    const pieces = this.#pieces.sort((a, b) => b.length - a.length);
    const shortest = Math.min(pieces.at(-1)?.length ?? 0, RUN_AT_LEAST);
    return { pieces, shortest, runs: new Runs(this.#runs) };
  }

  #addTokenParts(token: string): void {
    if (token.length <= SHORTEST_TOKEN_PART || !token.includes('.')) return;
    for (const part of token.split('.', 8)) this.#addPiece(part, SHORTEST_TOKEN_PART);
  }

  /** RFC 7617: the password is the secret, and it is written in base64 only in the header. */
  #addBasic(value: string): void {
    const encoded = BASIC.exec(value)?.[1];
    if (encoded === undefined) return;
    const pair = Buffer.from(encoded, 'base64').toString().toLowerCase();
    this.#addPiece(pair, SHORTEST_TOKEN);
    this.#addPiece(pair.slice(pair.indexOf(':') + 1), SHORTEST_TOKEN);
  }

  #addRuns(text: string): void {
    if (text.length < RUN_AT_LEAST || this.#runs.length + text.length > MAX_RUNS) return;
    this.#runs += `${text}\n`;
  }

  #addPiece(piece: string, shortest: number): void {
    if (piece.length >= shortest && this.#pieces.length < MAX_PIECES) this.#pieces.push(piece);
  }
}

/** What a request presents, ready to be searched for. */
interface Found {
  /** The longest first. */
  readonly pieces: readonly string[];
  /** Texts that are shorter hold nothing of it. */
  readonly shortest: number;
  readonly runs: Runs;
}

function presented(found: Found, onlyBy?: Principal): PresentedCredentials | undefined {
  if (found.pieces.length === 0) return undefined;
  if (found.pieces.length >= MAX_PIECES) return { mask: () => MASKED };
  return new Presented(found, onlyBy);
}

/** A class, so that an event whose texts are all short costs no closures. */
class Presented implements PresentedCredentials {
  declare readonly onlyBy?: Principal;
  readonly #found: Found;
  #search: RunSearch | undefined;

  constructor(found: Found, onlyBy: Principal | undefined) {
    if (onlyBy !== undefined) this.onlyBy = onlyBy;
    this.#found = found;
  }

  mask(text: string, exact: boolean): string {
    const { pieces, shortest } = this.#found;
    if (text.length < shortest) return text;
    const replaced = replacePieces(text, pieces);
    const lower = replaced.toLowerCase();
    if (!exact && this.#sharesRun(lower)) return MASKED;
    return lower.includes('%') && this.#isPresented(percentDecoded(lower), exact) ? MASKED : replaced;
  }

  #isPresented(lower: string, exact: boolean): boolean {
    return this.#found.pieces.some((piece) => lower.includes(piece)) || (!exact && this.#sharesRun(lower));
  }

  #sharesRun(lower: string): boolean {
    this.#search ??= this.#found.runs.search();
    return this.#search.isSharedBy(lower);
  }
}

/** What stands between white space and commas; joined headers have several, most have a scheme and a token. */
function tokensOf(value: string): readonly string[] {
  const space = value.indexOf(' ');
  if (!SEPARATORS_BUT_SPACE.test(value)) {
    if (space === -1) return [value];
    if (value.indexOf(' ', space + 1) === -1) return [value.slice(0, space), value.slice(space + 1)];
  }
  return value.split(SEPARATORS);
}

const SEPARATORS_BUT_SPACE = /[,\t\r\n\f\v\u0080-\uffff]/;
const SEPARATORS = /[\s,]+/;

const BASIC = /^basic ([A-Za-z0-9+/=_-]+)$/i;

function replacePieces(text: string, pieces: readonly string[]): string {
  let masked = text;
  let search = text.toLowerCase();
  for (const piece of pieces) {
    if (piece.length > search.length || !search.includes(piece)) continue;
    // A few letters change their length in lower case; then positions do not agree and all of it goes.
    if (search.length !== masked.length) return MASKED;
    masked = replaceAt(masked, search, piece);
    search = masked.toLowerCase();
  }
  return masked;
}

function replaceAt(text: string, lower: string, piece: string): string {
  let result = '';
  let from = 0;
  for (let at = lower.indexOf(piece); at !== -1; at = lower.indexOf(piece, from)) {
    result += text.slice(from, at) + MASKED;
    from = at + piece.length;
  }
  return result + text.slice(from);
}

const ESCAPE = /%([0-9a-f]{2})/g;
const MAX_DECODINGS = 3;

/** Decodes escapes as often as a text was encoded within reason; what is no escape stays. */
function percentDecoded(lower: string): string {
  let text = lower;
  for (let round = 0; round < MAX_DECODINGS && text.includes('%'); round += 1) {
    text = text.replace(ESCAPE, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))).toLowerCase();
  }
  return text;
}
