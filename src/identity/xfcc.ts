import { CredentialFault } from './credential-fault.ts';

/** What one proxy says of its client's certificate; a key without a value is as good as absent. */
export interface XfccElement {
  /** URI SANs of the certificate that the proxy itself showed to the client. */
  readonly by: readonly string[];
  /** SHA-256 of the client's certificate, lower-case hex. */
  readonly hash?: string;
  /** The client's certificate, URL-encoded PEM. */
  readonly cert?: string;
  /** The client's whole chain, URL-encoded PEM. */
  readonly chain?: string;
  /** RFC 2253 text as it was written: Envoy puts it in quotes without escaping it again. */
  readonly subject?: string;
  readonly uris: readonly string[];
  readonly dns: readonly string[];
}

/**
 * Parses `x-forwarded-client-cert` (Envoy, "HTTP header manipulation"), the proxy nearest to us last. Several headers
 * are one list, as Envoy joins them. Throws {@link CredentialFault} for anything outside the grammar or its bounds.
 */
export function parseXfcc(values: readonly string[]): readonly XfccElement[] {
  const elements: XfccElement[] = [];
  let length = 0;
  for (const value of values) {
    length += value.length + 1;
    if (length - 1 > MAX_LENGTH) throw new CredentialFault('`x-forwarded-client-cert` is longer than 16 KiB');
    if (!PRINTABLE.test(value)) throw malformed('a character outside printable ASCII');
    readElements(value, elements);
  }
  return elements;
}

const MAX_LENGTH = 16 * 1024;
const MAX_ELEMENTS = 32;
const MAX_PAIRS = 128;
const PRINTABLE = /^[\x20-\x7e]*$/;

/** Key, `=`, then a quoted value in which a backslash goes with the character after it, or one without separators. */
const PAIR = /([A-Za-z]{2,7})=(?:"((?:[^"\\]|\\.)*)"|([^",;]*))/y;
function readElements(text: string, elements: XfccElement[]): void {
  let at = 0;
  for (;;) {
    if (elements.length === MAX_ELEMENTS) throw malformed(`more than ${MAX_ELEMENTS} elements`);
    const element = new Element();
    at = readElement(text, at, element);
    elements.push(element.finish());
    if (at === text.length) return;
    if (text[at] !== ',') throw malformed('something after a value');
    at += 1;
    // A list may be joined with a space (RFC 9110 §5.6.1).
    while (text[at] === ' ') at += 1;
  }
}

/** Answers where the element ends: at a comma, at the end, or at what is neither. */
function readElement(text: string, start: number, element: Element): number {
  let at = start;
  for (let pairs = 0; pairs < MAX_PAIRS; pairs += 1) {
    PAIR.lastIndex = at;
    const match = PAIR.exec(text);
    if (match === null) throw malformed('something that is no pair of a key and a value');
    const [whole, key = '', quoted, plain = ''] = match;
    element.add(key.toLowerCase(), quoted ?? plain, quoted !== undefined);
    at += whole.length;
    if (text[at] !== ';') return at;
    at += 1;
  }
  throw malformed(`more than ${MAX_PAIRS} pairs in an element`);
}

const SHA256 = /^[0-9a-fA-F]{64}$/;

/** Collects the pairs of one element; only By, URI and DNS may come more than once. */
class Element {
  readonly #by: string[] = [];
  readonly #uris: string[] = [];
  readonly #dns: string[] = [];
  readonly #single = new Map<string, string>();

  add(key: string, written: string, quoted: boolean): void {
    const value = quoted && key !== 'subject' ? written.replaceAll('\\"', '"') : written;
    switch (key) {
      case 'by':
        if (value !== '') this.#by.push(value);
        return;
      case 'uri':
        if (value !== '') this.#uris.push(value);
        return;
      case 'dns':
        if (value !== '') this.#dns.push(value);
        return;
      case 'hash':
        if (value !== '' && !SHA256.test(value)) throw malformed('a `Hash` that is no SHA-256');
        this.#addSingle(key, value.toLowerCase());
        return;
      case 'cert':
      case 'chain':
      case 'subject':
        this.#addSingle(key, value);
        return;
      default:
        throw malformed('a key that is not defined');
    }
  }

  finish(): XfccElement {
    const [hash, cert, chain, subject] = ['hash', 'cert', 'chain', 'subject'].map((key) => this.#single.get(key));
    return {
      by: this.#by,
      ...(hash ? { hash } : {}),
      ...(cert ? { cert } : {}),
      ...(chain ? { chain } : {}),
      ...(subject ? { subject } : {}),
      uris: this.#uris,
      dns: this.#dns,
    };
  }

  #addSingle(key: string, value: string): void {
    if (this.#single.has(key)) throw malformed(`\`${key}\` twice in an element`);
    this.#single.set(key, value);
  }
}

function malformed(what: string): CredentialFault {
  return new CredentialFault(`\`x-forwarded-client-cert\` is malformed: ${what}`);
}
