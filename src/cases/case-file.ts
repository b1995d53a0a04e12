import { type Document, LineCounter, parseDocument } from 'yaml';
import { isObject } from '../decision/json.ts';
import { CaseError, type CaseFault } from './case-error.ts';
import type { CasePath } from './case-fields.ts';
import { parseRequestCases, type RequestCase } from './request-case.ts';

/** The end of the name of a file with cases. */
export const CASE_FILE_END = '.cases.yaml';

/** A file of cases, read: as they are decided, and as they travel in a bundle. */
export interface CaseFile {
  readonly file: string;
  readonly cases: readonly RequestCase[];
  readonly values: readonly unknown[];
}

/** Reads YAML, whose faults and those of its cases a {@link CaseError} names by line. An empty file has no cases. */
export function parseCaseFile(file: string, text: string): CaseFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true, version: '1.2' });
  const faults = [...document.errors, ...document.warnings].map(
    ({ message, pos }): CaseFault => ({ file, line: lines.linePos(pos[0]).line, path: [], message }),
  );
  if (faults.length > 0) throw new CaseError(faults);
  const lineOf = (path: CasePath): number | undefined => {
    const node: unknown = path.length === 0 ? document.contents : document.getIn(path, true);
    const start = rangeStart(node);
    return start === undefined ? undefined : lines.linePos(start).line;
  };
  const value = toValue(file, document) ?? [];
  const cases = parseRequestCases(value, { file, lineOf });
  // A value that gave cases is a list of them.
  return { file, cases, values: value as readonly unknown[] };
}

/** An alias of nothing, or of too much, shows only here. */
function toValue(file: string, document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    throw new CaseError([{ file, path: [], message: error instanceof Error ? error.message : String(error) }]);
  }
}

/** A file may say the same in a few places; a hundred is a fault, and more a way to exhaust memory. */
const MAX_ALIASES = 100;

/** Demands that no two files name a case alike, and answers all values in the order of their names: the same for the same files. */
export function joinCases(files: readonly CaseFile[]): readonly unknown[] {
  const places = new Map<string, string>();
  const faults: CaseFault[] = [];
  const named: (readonly [string, unknown])[] = [];
  for (const { file, cases, values } of files) {
    for (const [index, { name, line }] of cases.entries()) {
      const before = places.get(name);
      if (before !== undefined)
        faults.push({ ...placeOf(file, line), path: [index, 'name'], name, message: `is also in ${before}` });
      places.set(name, line === undefined ? file : `${file}:${line}`);
      named.push([name, values[index]]);
    }
  }
  if (faults.length > 0) throw new CaseError(faults);
  return named.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
}

function placeOf(file: string, line: number | undefined): Pick<CaseFault, 'file' | 'line'> {
  return line === undefined ? { file } : { file, line };
}

function rangeStart(node: unknown): number | undefined {
  if (!isObject(node) || !Array.isArray(node['range'])) return undefined;
  const start: unknown = node['range'][0];
  return typeof start === 'number' ? start : undefined;
}
