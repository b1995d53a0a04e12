import { type Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';
import type { ConfigFault } from './fault.ts';

/** A config file as plain values, and where in the file each of them stands. */
export interface YamlFile {
  readonly value: unknown;
  readonly faults: readonly ConfigFault[];
  /** The line of a place such as `['doors', 'ext_authz_grpc']`, or of the nearest place above it. */
  lineOf(path: readonly (string | number)[]): number | undefined;
}

type Environment = { readonly [name: string]: string | undefined };

/** Parses YAML text; `${NAME}` in a text takes the environment variable, `$${` stands for `${`. Never throws. */
export function parseYamlFile(text: string, environment: Environment): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false });
  const faults: ConfigFault[] = document.errors.map((error) => ({
    path: '',
    message: error.message,
    line: lines.linePos(error.pos[0]).line,
  }));
  if (faults.length === 0) faults.push(...expand(document, environment, lines));
  const value = faults.length > 0 ? undefined : toValue(document, faults);
  return {
    value,
    faults,
    lineOf: (path) => lineOf(document, lines, path),
  };
}

/** An alias of nothing, or of too much, shows only here. */
function toValue(document: Document, faults: ConfigFault[]): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    faults.push({ path: '', message: error instanceof Error ? error.message : String(error) });
    return undefined;
  }
}

const VARIABLE = /\$(\$?)\{([A-Za-z_][A-Za-z0-9_]*)\}/g;

function expand(document: Document, environment: Environment, lines: LineCounter): readonly ConfigFault[] {
  const faults: ConfigFault[] = [];
  visit(document, {
    Scalar(_key, node) {
      if (typeof node.value !== 'string') return;
      node.value = node.value.replace(VARIABLE, (_all, escaped: string, name: string) => {
        if (escaped !== '') return `\${${name}}`;
        const value = environment[name];
        if (value !== undefined) return value;
        const at = node.range === undefined || node.range === null ? {} : { line: lines.linePos(node.range[0]).line };
        faults.push({ path: '', message: `the environment variable \`${name}\` is not set`, ...at });
        return '';
      });
    },
  });
  return faults;
}

function lineOf(document: Document, lines: LineCounter, path: readonly (string | number)[]): number | undefined {
  let node: unknown = document.contents;
  let offset = isNode(node) ? node.range?.[0] : undefined;
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && key.value === step);
      if (pair === undefined) break;
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof step === 'number') {
      node = node.items[step];
      if (isNode(node)) offset = node.range?.[0] ?? offset;
    } else break;
  }
  return offset === undefined ? undefined : lines.linePos(offset).line;
}
