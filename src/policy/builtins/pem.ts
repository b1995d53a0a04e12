import { decodeBase64 } from './base64.ts';

export interface PemBlock {
  readonly type: string;
  readonly bytes: Buffer;
  /** What stands behind it. */
  readonly rest: string;
}

const BEGIN = '-----BEGIN ';
const END = '\n-----END ';
const DASHES = '-----';

/** The next PEM block of a text, as Go finds it: anything else is passed over. `undefined` when there is none. */
export function nextPemBlock(text: string): PemBlock | undefined {
  let from = 0;
  for (;;) {
    const end = text.indexOf(END, from);
    if (end < 0) return undefined;
    // Go searches the part before the end line, without its line break.
    const begin = lastBegin(text, from, end);
    const block = begin < 0 ? undefined : readBlock(text, begin, end);
    if (block !== undefined) return block;
    from = end + END.length;
  }
}

/** All blocks of a text. */
export function pemBlocks(text: string): readonly PemBlock[] {
  const blocks: PemBlock[] = [];
  let block = nextPemBlock(text);
  while (block !== undefined) {
    blocks.push(block);
    block = nextPemBlock(block.rest);
  }
  return blocks;
}

/** Looks no further back than `from`: a text of nothing but ends is read once. */
function lastBegin(text: string, from: number, end: number): number {
  const begin = text.slice(from, end).lastIndexOf(BEGIN);
  return begin < 0 || (begin > 0 && text.charAt(from + begin - 1) !== '\n') ? -1 : from + begin;
}

function readBlock(text: string, begin: number, end: number): PemBlock | undefined {
  const first = lineAt(text, begin + BEGIN.length);
  if (!first.text.endsWith(DASHES)) return undefined;
  const type = first.text.slice(0, -DASHES.length);
  let body = first.next;
  for (;;) {
    if (body >= text.length) return undefined;
    const line = lineAt(text, body);
    if (!line.text.includes(':')) break;
    body = line.next;
    // Headers do not go on behind the end of their block.
    if (body > end) return undefined;
  }
  const trailer = `${type}${DASHES}`;
  const afterEnd = end + END.length;
  if (!text.startsWith(trailer, afterEnd)) return undefined;
  const endLine = lineAt(text, afterEnd + trailer.length);
  if (endLine.text !== '') return undefined;
  const bytes = end > body ? decodeBase64(text.slice(body, end).replace(/[ \t]/g, ''), 'standard') : Buffer.alloc(0);
  return typeof bytes === 'number' ? undefined : { type, bytes, rest: text.slice(endLine.next) };
}

/** The line without its break and the blanks before that, and where the next begins. */
function lineAt(text: string, from: number): { readonly text: string; readonly next: number } {
  const found = text.indexOf('\n', from);
  const next = found < 0 ? text.length : found + 1;
  let end = found < 0 ? text.length : found;
  if (found > from && text.charAt(found - 1) === '\r') end--;
  while (end > from && (text.charAt(end - 1) === ' ' || text.charAt(end - 1) === '\t')) end--;
  return { text: text.slice(from, end), next };
}
