import type { RulePlace } from '../../decision/rule-trace.ts';
import type { Position } from './plan.ts';

/** The place that a position stands for, with what stands there. */
export type PlaceOf = (position: Position) => RulePlace;

/** Longer texts are cut. */
const MOST_TEXT = 160;

/** Reads the places of a plan with these files in the sources that its bundle packs. */
export function createPlaces(files: readonly string[], rego: ReadonlyMap<string, string>): PlaceOf {
  const sources = new Map([...rego].map(([name, text]) => [withoutSlash(name), text]));
  const lines = new Map<string, readonly string[]>();
  return (position) => {
    const { row, col } = position;
    const file = withoutSlash(files[position.file] ?? '');
    let own = lines.get(file);
    if (own === undefined) {
      own = sources.get(file)?.split('\n') ?? [];
      lines.set(file, own);
    }
    const line = own[row - 1];
    return { file, row, col, ...(line === undefined ? {} : { text: textAt(line, position) }) };
  };
}

function withoutSlash(name: string): string {
  return name.startsWith('/') ? name.slice(1) : name;
}

function textAt(line: string, { row, col, endRow, endCol }: Position): string {
  // Columns count bytes: of other lines all is shown.
  const isPlain = /^[\t\x20-\x7e]*$/.test(line);
  const end = endRow === row && endCol > col ? endCol - 1 : line.length;
  const text = (isPlain ? line.slice(col - 1, end) : line).trim().toWellFormed();
  return text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)}…` : text;
}
