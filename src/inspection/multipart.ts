import { Buffer } from 'node:buffer';
import { RequestFault } from '../decision/errors.ts';
import { parseMediaType } from './media-type.ts';
import { decodeLikeGo } from './percent-decoding.ts';

/** One named field of a `multipart/form-data` body. */
export interface FormPart {
  readonly name: string;
  readonly contentType: string;
  readonly content: Buffer;
}

/**
 * Reads a whole `multipart/form-data` body (RFC 7578) as Go's mime/multipart does; parts without a field name are
 * left out. Throws `malformed_request` for anything that is not well formed to the closing boundary.
 */
export function parseMultipart(body: Buffer, boundary: string): readonly FormPart[] {
  if (boundary === '' || boundary.length > MAX_BOUNDARY) throw malformed('has a bad boundary');
  const delimiter = Buffer.from(`--${boundary}`, 'utf8');
  const parts: FormPart[] = [];
  let count = 0;
  let line = openingLine(body, delimiter);
  while (line.kind === 'part') {
    const headers = readHeaders(body, line.next);
    const end = contentEnd(body, headers.next, delimiter, line.newline);
    const part = toPart(headers.values, body.subarray(headers.next, end.content));
    if (part !== undefined) parts.push(part);
    if (++count > MAX_PARTS) throw malformed('has too many parts');
    line = readDelimiter(body, end.delimiter, delimiter);
    if (line.kind === 'other') throw malformed('has text behind a boundary');
  }
  return parts;
}

const MAX_BOUNDARY = 200;
/** As Go's `ReadForm` has it. */
const MAX_PARTS = 1000;
const MAX_PREAMBLE = 64 * 1024;
const MAX_HEADERS = 64;
const MAX_LINE = 4096;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const HYPHEN = 0x2d;

type DelimiterLine =
  | { readonly kind: 'part'; readonly next: number; readonly newline: '\r\n' | '\n' }
  | { readonly kind: 'end' }
  | { readonly kind: 'other' };

/** Skips the preamble. */
function openingLine(body: Buffer, delimiter: Buffer): DelimiterLine {
  let position = 0;
  while (position < body.length && position <= MAX_PREAMBLE) {
    const line = readDelimiter(body, position, delimiter);
    if (line.kind !== 'other') return line;
    const feed = body.indexOf(LINE_FEED, position);
    if (feed < 0 || feed - position > MAX_LINE) break;
    position = feed + 1;
  }
  throw malformed('has no boundary');
}

/** Reads the line at a place as `--boundary` or `--boundary--`, spaces and tabs allowed behind it. */
function readDelimiter(body: Buffer, at: number, delimiter: Buffer): DelimiterLine {
  if (!startsWith(body, delimiter, at)) return { kind: 'other' };
  let position = at + delimiter.length;
  const isEnd = body[position] === HYPHEN && body[position + 1] === HYPHEN;
  if (isEnd) position += 2;
  while (body[position] === 0x20 || body[position] === 0x09) position++;
  if (isEnd && position === body.length) return { kind: 'end' };
  const newline = body[position] === CARRIAGE_RETURN ? '\r\n' : '\n';
  position += newline.length;
  if (body[position - 1] !== LINE_FEED) return { kind: 'other' };
  return isEnd ? { kind: 'end' } : { kind: 'part', next: position, newline };
}

/** The content ends before the line break that precedes the next boundary; an empty part may lack that break. */
function contentEnd(
  body: Buffer,
  start: number,
  delimiter: Buffer,
  newline: string,
): { readonly content: number; readonly delimiter: number } {
  if (startsWith(body, delimiter, start) && endsBoundary(body, start + delimiter.length)) {
    return { content: start, delimiter: start };
  }
  const separator = Buffer.concat([Buffer.from(newline), delimiter]);
  let found = body.indexOf(separator, start);
  while (found >= 0 && !endsBoundary(body, found + separator.length)) {
    found = body.indexOf(separator, found + separator.length);
  }
  if (found < 0) throw malformed('has no closing boundary');
  return { content: found, delimiter: found + newline.length };
}

/** Whether what stands behind the boundary's text makes it a boundary and not the start of a longer one. */
function endsBoundary(body: Buffer, at: number): boolean {
  const byte = body[at];
  if (byte === HYPHEN) return body[at + 1] === HYPHEN;
  return byte === undefined || byte === 0x20 || byte === 0x09 || byte === CARRIAGE_RETURN || byte === LINE_FEED;
}

function startsWith(body: Buffer, text: Buffer, at: number): boolean {
  return text.compare(body, at, Math.min(at + text.length, body.length)) === 0;
}

const HEADER_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):(.*)$/s;

function readHeaders(
  body: Buffer,
  start: number,
): { readonly values: ReadonlyMap<string, string>; readonly next: number } {
  const values = new Map<string, string>();
  let position = start;
  let last = '';
  for (let count = 0; count <= MAX_HEADERS; count++) {
    const feed = body.indexOf(LINE_FEED, position);
    if (feed < 0 || feed - position > MAX_LINE) break;
    const line = decodeLikeGo(body.subarray(position, feed)).replace(/\r$/, '');
    position = feed + 1;
    if (line === '') return { values, next: position };
    if (line.startsWith(' ') || line.startsWith('\t')) {
      if (last === '') break;
      values.set(last, `${values.get(last) ?? ''} ${line.trim()}`);
      continue;
    }
    const match = HEADER_LINE.exec(line);
    const name = match?.[1]?.toLowerCase();
    // Readers disagree on which of two equal headers holds.
    if (name === undefined || values.has(name)) break;
    values.set(name, match?.[2]?.trim() ?? '');
    last = name;
  }
  throw malformed('has a part with malformed headers');
}

function toPart(headers: ReadonlyMap<string, string>, content: Buffer): FormPart | undefined {
  const encoding = headers.get('content-transfer-encoding')?.toLowerCase() ?? 'binary';
  // RFC 7578 §4.7 deprecates it; undoing `quoted-printable` would show the policy what few upstreams read.
  if (!IDENTITY_ENCODINGS.has(encoding)) throw malformed('has a part in a transfer encoding');
  const text = headers.get('content-disposition');
  if (text === undefined) return undefined;
  const disposition = parseMediaType(text);
  if (disposition === undefined || disposition.parameters.has('name*')) throw malformed('has a malformed disposition');
  const name = disposition.parameters.get('name') ?? '';
  if (disposition.type !== 'form-data' || name === '') return undefined;
  return { name, contentType: headers.get('content-type') ?? '', content };
}

const IDENTITY_ENCODINGS = new Set(['7bit', '8bit', 'binary']);

function malformed(cause: string): RequestFault {
  return new RequestFault('malformed_request', `the multipart body ${cause}`);
}
