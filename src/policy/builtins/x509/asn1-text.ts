import { isUtf8 } from 'node:buffer';
import { TAG } from './der.ts';
import { fail } from './x509-error.ts';

const PRINTABLE = /^[A-Za-z0-9'()+,./ :=?*&-]*$/;
const NUMERIC = /^[0-9 ]*$/;

/** The text that a string of this type holds. Throws an `X509Error` for what is none. */
export function readAsn1Text(tag: number, content: Buffer): string {
  switch (tag) {
    case TAG.t61String:
      return content.toString('latin1');
    case TAG.printableString:
      return matching(PRINTABLE, content) ?? fail('invalid PrintableString');
    case TAG.utf8String:
      return isUtf8(content) ? content.toString('utf8') : fail('invalid UTF-8 string');
    case TAG.bmpString:
      return bmpText(content) ?? fail('invalid BMPString');
    case TAG.ia5String:
      return ia5Text(content) ?? fail('invalid IA5String');
    case TAG.numericString:
      return matching(NUMERIC, content) ?? fail('invalid NumericString');
    default:
      return fail(`unsupported string type: ${tag}`);
  }
}

/** ASCII, else `undefined`. */
export function ia5Text(content: Buffer): string | undefined {
  return content.every((byte) => byte < 0x80) ? content.toString('latin1') : undefined;
}

function matching(pattern: RegExp, content: Buffer): string | undefined {
  const text = content.toString('latin1');
  return pattern.test(text) ? text : undefined;
}

function bmpText(content: Buffer): string | undefined {
  if (content.length % 2 !== 0) return undefined;
  const ended = content.length >= 2 && content.readUInt16BE(content.length - 2) === 0;
  let text = '';
  for (let at = 0; at < content.length - (ended ? 2 : 0); at += 2) {
    const unit = content.readUInt16BE(at);
    if (unit >= 0xfffe || (unit >= 0xfdd0 && unit <= 0xfdef) || (unit >= 0xd800 && unit <= 0xdfff)) return undefined;
    text += String.fromCharCode(unit);
  }
  return text;
}
