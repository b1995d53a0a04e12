import { isBlank, isBlankOrEnd, isBreakOrEnd, scanFault, type YamlCursor } from './yaml-cursor.ts';
import type { YamlToken } from './yaml-token.ts';

const LETTER = /[0-9A-Za-z_-]/;
const AFTER_ANCHOR = /[?:,\]}%@`]/;
const OF_URI = /[0-9A-Za-z_\-;/?:@&=+$,.!~*'()[\]%]/;

/** `&name` or `*name`. */
export function scanAnchor(cursor: YamlCursor, kind: 'alias' | 'anchor'): YamlToken {
  const { line } = cursor;
  cursor.skip();
  const name = scanLetters(cursor);
  if (name === '' || !(isBlankOrEnd(cursor.unit()) || AFTER_ANCHOR.test(cursor.unit()))) {
    throw scanFault('an anchor or alias without a name of letters and digits', line, cursor);
  }
  return { kind, line, name };
}

/** `!`, `!suffix`, `!handle!suffix` or `!<uri>`. */
export function scanTag(cursor: YamlCursor): YamlToken {
  const { line } = cursor;
  let handle = '';
  let suffix: string;
  if (cursor.unit(1) === '<') {
    cursor.skip(2);
    suffix = scanUri(cursor, '', line);
    if (cursor.unit() !== '>') throw scanFault('a tag without its `>`', line, cursor);
    cursor.skip();
  } else {
    handle = scanHandle(cursor, line);
    if (handle.length > 1 && handle.endsWith('!')) {
      suffix = scanUri(cursor, '', line);
    } else {
      suffix = scanUri(cursor, handle, line);
      if (suffix === '') [handle, suffix] = ['', handle];
      else handle = '!';
    }
  }
  if (!isBlankOrEnd(cursor.unit())) throw scanFault('a tag with no space behind it', line, cursor);
  return { kind: 'tag', line, handle, suffix };
}

/** A line that begins with `%`. */
export function scanDirective(cursor: YamlCursor): YamlToken {
  const { line } = cursor;
  cursor.skip();
  const name = scanLetters(cursor);
  if (name === '' || !isBlankOrEnd(cursor.unit())) throw scanFault('a directive without a name', line, cursor);
  const token = directive(cursor, name, line);
  cursor.skipBlanks();
  if (cursor.unit() === '#') cursor.skipLine();
  if (!isBreakOrEnd(cursor.unit())) throw scanFault('a directive with more on its line', line, cursor);
  cursor.readBreak();
  return token;
}

function directive(cursor: YamlCursor, name: string, line: number): YamlToken {
  cursor.skipBlanks();
  if (name === 'YAML') return { kind: 'version', line, version: scanVersion(cursor, line) };
  if (name !== 'TAG') throw scanFault('an unknown directive', line, cursor);
  const handle = scanHandle(cursor, line);
  if (handle !== '!' && !(handle.length > 1 && handle.endsWith('!'))) {
    throw scanFault('a tag directive whose handle has no `!` at its end', line, cursor);
  }
  if (!isBlank(cursor.unit())) throw scanFault('a tag directive without a space', line, cursor);
  cursor.skipBlanks();
  const prefix = scanUri(cursor, '', line);
  if (!isBlankOrEnd(cursor.unit())) throw scanFault('a tag directive with no space behind it', line, cursor);
  return { kind: 'tag-directive', line, handle, prefix };
}

/** `1.1`, whose numbers have two digits at most. */
function scanVersion(cursor: YamlCursor, line: number): string {
  const number = (): string => {
    const start = cursor.at;
    while (/[0-9]/.test(cursor.unit())) cursor.skip();
    const digits = cursor.since(start);
    if (digits === '' || digits.length > 2) throw scanFault('a version that is no number', line, cursor);
    return String(Number(digits));
  };
  const major = number();
  if (cursor.unit() !== '.') throw scanFault('a version without a dot', line, cursor);
  cursor.skip();
  return `${major}.${number()}`;
}

function scanLetters(cursor: YamlCursor): string {
  const start = cursor.at;
  while (LETTER.test(cursor.unit())) cursor.skip();
  return cursor.since(start);
}

function scanHandle(cursor: YamlCursor, line: number): string {
  const start = cursor.at;
  if (cursor.unit() !== '!') throw scanFault('a tag without its `!`', line, cursor);
  cursor.skip();
  scanLetters(cursor);
  if (cursor.unit() === '!') cursor.skip();
  return cursor.since(start);
}

/** What follows `head`, whose own `!` is left out; only with a head it may be nothing. */
function scanUri(cursor: YamlCursor, head: string, line: number): string {
  let uri = head.slice(1);
  let some = head !== '';
  while (OF_URI.test(cursor.unit())) {
    some = true;
    if (cursor.unit() === '%') {
      uri += scanEscapedCharacter(cursor, line);
    } else {
      uri += cursor.unit();
      cursor.skip();
    }
  }
  if (!some) throw scanFault('a tag without a name', line, cursor);
  return uri;
}

/** A character as the octets of its UTF-8, `%` before each. */
function scanEscapedCharacter(cursor: YamlCursor, line: number): string {
  const octets: number[] = [];
  let length = 1;
  while (octets.length < length) {
    const hex = `${cursor.unit(1)}${cursor.unit(2)}`;
    if (cursor.unit() !== '%' || !/^[0-9a-fA-F]{2}$/.test(hex)) throw scanFault('an escape in a tag', line, cursor);
    const octet = Number.parseInt(hex, 16);
    if (octets.length === 0) length = utf8Length(octet);
    if (length === 0 || (octets.length > 0 && (octet & 0xc0) !== 0x80)) {
      throw scanFault('an escape in a tag that is no UTF-8', line, cursor);
    }
    octets.push(octet);
    cursor.skip(3);
  }
  return Buffer.from(octets).toString('utf8');
}

function utf8Length(octet: number): number {
  if (octet < 0x80) return 1;
  if ((octet & 0xe0) === 0xc0) return 2;
  if ((octet & 0xf0) === 0xe0) return 3;
  return (octet & 0xf8) === 0xf0 ? 4 : 0;
}
