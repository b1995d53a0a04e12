import { isBlankOrEnd, scanFault, YamlCursor } from './yaml-cursor.ts';
import { scanAnchor, scanDirective, scanTag } from './yaml-scan-names.ts';
import { scanBlock, scanPlain, scanQuoted } from './yaml-scan-scalar.ts';
import type { YamlMark, YamlToken } from './yaml-token.ts';

/** A token that is a key if a `:` follows on its line. */
interface PossibleKey {
  readonly token: number;
  /** At the column of a mapping that is open, where nothing else may stand. */
  readonly required: boolean;
  readonly index: number;
  readonly line: number;
  readonly column: number;
}

/** As many characters may lie between the beginning of a key and its `:`. */
const LONGEST_KEY = 1_024;

/** No plain text begins with one of them, `-`, `?` and `:` only with more behind them. */
const INDICATOR = /[-?:,[\]{}#&*!|>'"%@`]/;

/**
 * The tokens of a text of YAML 1.1, by the rules of libyaml, which go-yaml follows: also where they are stricter than the
 * specification, or less strict. Throws a `SyntaxError` where they end, or where collections are open beyond `deepest`.
 */
export function scanYaml(text: string, deepest: number): readonly YamlToken[] {
  const cursor = new YamlCursor(text);
  const tokens: YamlToken[] = [];
  /** The columns of the collections around that of the `indent`. */
  const indents: number[] = [];
  let indent = -1;
  /** One for each `[` or `{` that is open, and one for what is around. */
  const keys: (PossibleKey | undefined)[] = [undefined];
  let keyAllowed = true;
  const inFlow = (): boolean => keys.length > 1;

  for (skipToToken(); cursor.unit() !== ''; skipToToken()) scanNext();
  if (cursor.column !== 0) cursor.line++;
  beginLine();
  push('stream-end');
  return tokens;

  function scanNext(): void {
    closeBlocks(cursor.column);
    const unit = cursor.unit();
    if (cursor.column === 0 && unit === '%') {
      beginLine();
      tokens.push(scanDirective(cursor));
    } else if (cursor.atDocumentMark()) {
      beginLine();
      push(unit === '-' ? 'document-start' : 'document-end', 3);
    } else {
      scanToken(unit);
      if (tokens.at(-1)?.kind !== 'block-entry') cursor.skipLineComment();
    }
  }

  function skipToToken(): void {
    for (;;) {
      while (cursor.unit() === ' ' || (cursor.unit() === '\t' && (inFlow() || !keyAllowed))) cursor.skip();
      if (cursor.unit() === '#') cursor.skipComments();
      if (cursor.readBreak() === '') return;
      if (!inFlow()) keyAllowed = true;
    }
  }

  /** Ends all blocks, for what stands outside of them. */
  function beginLine(): void {
    closeBlocks(-1);
    dropKey();
    keyAllowed = false;
  }

  function scanToken(unit: string): void {
    const stands = isBlankOrEnd(cursor.unit(1));
    if (unit === '[' || unit === '{') openFlow(unit);
    else if (unit === ']' || unit === '}') closeFlow(unit);
    else if (unit === ',') nextOfFlow();
    else if (unit === '-' && stands) blockEntry();
    else if (unit === '?' && (inFlow() || stands)) key();
    else if (unit === ':' && (inFlow() || stands)) value();
    else if (unit === '*' || unit === '&') scanKey(() => scanAnchor(cursor, unit === '*' ? 'alias' : 'anchor'));
    else if (unit === '!') scanKey(() => scanTag(cursor));
    else if ((unit === '|' || unit === '>') && !inFlow()) block();
    else if (unit === "'" || unit === '"') scanKey(() => scanQuoted(cursor));
    else plain(unit, stands);
  }

  /** What may begin a key, and is followed by none. */
  function scanKey(scan: () => YamlToken): void {
    saveKey();
    keyAllowed = false;
    tokens.push(scan());
  }

  function openFlow(unit: string): void {
    saveKey();
    keys.push(undefined);
    checkDepth();
    keyAllowed = true;
    push(unit === '[' ? 'flow-sequence-start' : 'flow-mapping-start', 1);
  }

  function closeFlow(unit: string): void {
    dropKey();
    if (inFlow()) keys.pop();
    keyAllowed = false;
    push(unit === ']' ? 'flow-sequence-end' : 'flow-mapping-end', 1);
  }

  function nextOfFlow(): void {
    dropKey();
    keyAllowed = true;
    push('flow-entry', 1);
  }

  function block(): void {
    dropKey();
    keyAllowed = true;
    tokens.push(scanBlock(cursor, indent));
  }

  function plain(unit: string, stands: boolean): void {
    const begins =
      unit === '-' || (!inFlow() && (unit === '?' || unit === ':'))
        ? !stands
        : !isBlankOrEnd(unit) && !INDICATOR.test(unit);
    if (!begins) throw scanFault('found a character that begins nothing', cursor.line, cursor);
    let endsOnNewLine = false;
    scanKey(() => {
      const { token, newLine } = scanPlain(cursor, indent, inFlow());
      endsOnNewLine = newLine;
      return token;
    });
    keyAllowed = endsOnNewLine;
  }

  function blockEntry(): void {
    if (!inFlow()) {
      if (!keyAllowed) throw scanFault('an entry of a sequence where none may stand', cursor.line, cursor);
      openBlock(cursor.column, 'block-sequence-start', tokens.length, cursor.line);
    }
    dropKey();
    keyAllowed = true;
    push('block-entry', 1);
  }

  function key(): void {
    if (!inFlow()) {
      if (!keyAllowed) throw scanFault('a key of a mapping where none may stand', cursor.line, cursor);
      openBlock(cursor.column, 'block-mapping-start', tokens.length, cursor.line);
    }
    dropKey();
    keyAllowed = !inFlow();
    push('key', 1);
  }

  function value(): void {
    const found = possibleKey();
    if (found !== undefined) {
      tokens.splice(found.token, 0, { kind: 'key', line: found.line });
      openBlock(found.column, 'block-mapping-start', found.token, found.line);
      keys[keys.length - 1] = undefined;
      keyAllowed = false;
    } else {
      if (!inFlow()) {
        if (!keyAllowed) throw scanFault('a value of a mapping where none may stand', cursor.line, cursor);
        openBlock(cursor.column, 'block-mapping-start', tokens.length, cursor.line);
      }
      keyAllowed = !inFlow();
    }
    push('value', 1);
  }

  function possibleKey(): PossibleKey | undefined {
    const found = keys.at(-1);
    if (found === undefined) return undefined;
    if (found.line === cursor.line && found.index + LONGEST_KEY >= cursor.index) return found;
    if (found.required) throw missingValue(found);
    return undefined;
  }

  function saveKey(): void {
    if (!keyAllowed) return;
    dropKey();
    const { index, line, column } = cursor;
    const required = !inFlow() && indent === column;
    keys[keys.length - 1] = { token: tokens.length, required, index, line, column };
  }

  function dropKey(): void {
    const found = keys.at(-1);
    if (found?.required === true) throw missingValue(found);
    keys[keys.length - 1] = undefined;
  }

  function missingValue({ line }: PossibleKey): SyntaxError {
    return scanFault("could not find a key's `:`", line, cursor);
  }

  function openBlock(column: number, kind: YamlMark, at: number, line: number): void {
    if (inFlow() || indent >= column) return;
    indents.push(indent);
    checkDepth();
    indent = column;
    tokens.splice(at, 0, { kind, line });
  }

  function closeBlocks(column: number): void {
    if (inFlow()) return;
    while (indent > column) {
      push('block-end');
      indent = indents.pop() ?? -1;
    }
  }

  function checkDepth(): void {
    if (keys.length + indents.length > deepest) {
      throw scanFault('too many lists and mappings within each other', cursor.line, cursor);
    }
  }

  function push(kind: YamlMark, units = 0): void {
    tokens.push({ kind, line: cursor.line });
    cursor.skip(units);
  }
}
