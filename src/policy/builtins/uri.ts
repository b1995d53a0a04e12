import { define } from '../values/object.ts';
import type { PlainObject, Value } from '../values/value.ts';
import { type Builtin, type BuiltinContext, type Builtins, builtinFailure, FAILED, textOperand } from './builtin.ts';
import { toBytes as bytesOf, toText } from './bytes.ts';
import { quoteGo } from './rego-source.ts';
import { parseUri, type Uri, type UriFault } from './uri-parse.ts';

/** OPA's `uri` family: URI references as Go's `net/url` reads them, which is not how browsers do. */
export const URI_BUILTINS: Builtins = new Map<string, Builtin>([
  ['uri.parse', parse],
  ['uri.is_valid', (_context, text) => typeof text === 'string' && text !== '' && !isFault(parseUri(toBytes(text)))],
]);

function parse(context: BuiltinContext, operand: Value): PlainObject {
  const text = textOperand(context, operand, 1);
  const uri = parseUri(toBytes(text));
  if (isFault(uri)) throw failure(context, text, uri);
  const { scheme, hostname, port, path, rawPath, rawQuery, fragment } = uri;
  const parts: PlainObject = {};
  const all = { scheme, hostname, port, path, raw_path: rawPath, raw_query: rawQuery, fragment };
  for (const [name, bytes] of Object.entries(all)) {
    if (bytes !== '') define(parts, name, toText(Buffer.from(bytes, 'latin1')));
  }
  return parts;
}

function isFault(parsed: Uri | UriFault): parsed is UriFault {
  return 'reason' in parsed;
}

function failure(context: BuiltinContext, text: string, { part, reason, quoted, behind }: UriFault): Error {
  if (!context.strict) return FAILED;
  const cut = part === 'fragment' ? -1 : text.indexOf('#');
  const what = quoted === undefined ? '' : quote(Buffer.from(quoted, 'latin1').toString('utf8'));
  return builtinFailure(
    context,
    `parse ${quote(cut < 0 ? text : text.slice(0, cut))}: ${reason}${what}${behind ?? ''}`,
  );
}

function quote(text: string): string {
  return quoteGo(text, '"', false);
}

/** The text's UTF-8, one character for each byte. */
function toBytes(text: string): string {
  return bytesOf(text).toString('latin1');
}
