/** A media type or a disposition: the part before the first `;` in lower case, parameter names in lower case. */
export interface MediaType {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/**
 * Parses `type/subtype; name=value` (RFC 9110 §8.3.1) or `form-data; name=value` (RFC 2183). `undefined` when it is
 * malformed or names a parameter twice. Parameters in the extended notation of RFC 2231 (`name*`) are kept as named.
 */
export function parseMediaType(text: string): MediaType | undefined {
  const semicolon = text.indexOf(';');
  const type = (semicolon < 0 ? text : text.slice(0, semicolon)).trim().toLowerCase();
  if (!TYPE.test(type)) return undefined;
  const parameters = new Map<string, string>();
  let position = semicolon < 0 ? text.length : semicolon;
  while (position < text.length) {
    position = skipSpace(text, position);
    if (position === text.length) break;
    if (text[position] !== ';') return undefined;
    position = skipSpace(text, position + 1);
    // A trailing semicolon is common and harmless.
    if (position === text.length) break;
    const nameEnd = tokenEnd(text, position);
    const name = text.slice(position, nameEnd).toLowerCase();
    const equals = skipSpace(text, nameEnd);
    if (name === '' || text[equals] !== '=') return undefined;
    const value = readValue(text, skipSpace(text, equals + 1));
    if (value === undefined || parameters.has(name)) return undefined;
    parameters.set(name, value.text);
    position = value.end;
  }
  return { type, parameters };
}

const TYPE = /^[!#$%&'*+.^_`|~0-9a-z-]+(?:\/[!#$%&'*+.^_`|~0-9a-z-]+)?$/;
const TOKEN_CHARACTER = /[!#$%&'*+.^_`|~0-9A-Za-z-]/;

function skipSpace(text: string, from: number): number {
  let position = from;
  while (text[position] === ' ' || text[position] === '\t') position++;
  return position;
}

function tokenEnd(text: string, from: number): number {
  let position = from;
  while (position < text.length && TOKEN_CHARACTER.test(text.charAt(position))) position++;
  return position;
}

function readValue(text: string, from: number): { readonly text: string; readonly end: number } | undefined {
  if (text[from] === '"') return readQuoted(text, from + 1);
  const end = tokenEnd(text, from);
  return end === from ? undefined : { text: text.slice(from, end), end };
}

/** A backslash stands for itself before anything but `"` and `\`, as browsers send file paths. */
function readQuoted(text: string, from: number): { readonly text: string; readonly end: number } | undefined {
  let value = '';
  let start = from;
  for (let i = from; i < text.length; i++) {
    const character = text[i];
    if (character === '"') return { text: value + text.slice(start, i), end: i + 1 };
    if (character === '\r' || character === '\n') return undefined;
    if (character === '\\' && (text[i + 1] === '"' || text[i + 1] === '\\')) {
      value += text.slice(start, i);
      start = i + 1;
      i++;
    }
  }
  return undefined;
}
