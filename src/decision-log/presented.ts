import type { Outcome } from '../decision/ports.ts';

/** The credentials that one request presented, in a form that finds them again in other texts. */
export interface PresentedCredentials {
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
  const found = new Collected();
  for (const name of TOKEN_HEADERS) addTokens(found, request.headers.all(name));
  for (const value of request.headers.all('cookie')) found.addCookies(value);
  for (const { header, presented } of principal?.credentials ?? []) {
    if (presented !== undefined) found.addToken(presented);
    if (header !== undefined && header !== 'cookie' && !TOKEN_HEADERS.includes(header)) {
      addTokens(found, request.headers.all(header));
    }
  }
  return found.finish();
}

const TOKEN_HEADERS = ['authorization', 'proxy-authorization', 'x-api-key'];

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

  finish(): PresentedCredentials | undefined {
    if (this.#pieces.length === 0) return undefined;
    if (this.#pieces.length >= MAX_PIECES) return { mask: () => MASKED };
    const pieces = this.#pieces.sort((a, b) => b.length - a.length);
    const runs = new Runs(this.#runs);
    const shortest = Math.min(pieces.at(-1)?.length ?? 0, RUN_AT_LEAST);
    const isPresented = (lower: string, exact: boolean): boolean =>
      pieces.some((piece) => lower.includes(piece)) || (!exact && runs.isSharedBy(lower));
    return {
      mask: (text, exact) => {
        if (text.length < shortest) return text;
        const replaced = replacePieces(text, pieces);
        const lower = replaced.toLowerCase();
        if (!exact && runs.isSharedBy(lower)) return MASKED;
        return lower.includes('%') && isPresented(percentDecoded(lower), exact) ? MASKED : replaced;
      },
    };
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

const RUN_AT_LEAST = 24;
const WINDOW = 12;

/** Characters that are searched for one event, about half a millisecond; texts beyond it count as sharing a run. */
const MAX_SEARCHED = 512 * 1024;

/** Finds runs of 24 characters: such a run holds a whole window of 12 at a multiple of 13. */
class Runs {
  readonly #text: string;
  #searched = 0;

  constructor(text: string) {
    this.#text = text;
  }

  isSharedBy(other: string): boolean {
    if (other.length < RUN_AT_LEAST || this.#text === '') return false;
    for (let at = 0; at + WINDOW <= other.length; at += RUN_AT_LEAST - WINDOW + 1) {
      this.#searched += this.#text.length;
      if (this.#searched > MAX_SEARCHED || this.#text.includes(other.slice(at, at + WINDOW))) return true;
    }
    return false;
  }
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
