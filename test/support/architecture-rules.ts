import { posix } from 'node:path';
import { blank, exportedNames, importsOf, type SourceFile } from './source-scan.ts';

/** One broken rule of DESIGN: which file, and what is wrong with it. */
export interface Violation {
  readonly path: string;
  readonly rule: string;
  readonly detail: string;
}

export const FAMILIES = [
  'identity',
  'inspection',
  'quota',
  'policy',
  'bundle',
  'decision-log',
  'rollout',
  'cases',
  'replay',
] as const;

/** The composition root and the parts of it that stand in files of their own. */
const COMPOSITION = [
  'service.ts',
  'decider.ts',
  'in-force.ts',
  'generation.ts',
  'examine.ts',
  'examine-set.ts',
  'background-priority.ts',
  'trial.ts',
  'trial-worker.ts',
  'open-trial.ts',
  'prepared-set.ts',
  'read-bundle.ts',
  'read-worker.ts',
];

/** Everything that `test/architecture.test.ts` asserts of the files under `src/`. */
export function checkSource(files: readonly SourceFile[]): readonly Violation[] {
  return files.flatMap((file) => [
    ...checkImports(file),
    ...checkFileName(file.path),
    ...checkNames(file),
    ...checkTypes(file),
    ...checkWireParsing(file),
    ...checkLength(file),
  ]);
}

/** What any file of the project must not hold, prose and tests included. */
export function checkAnyFile({ path, text }: SourceFile): readonly Violation[] {
  const rules: readonly (readonly [string, RegExp])[] = [
    ['nothing is left to do', /\b(?:TO[D]O|FIX[M]E|XX[X])\b/],
    ['nothing outside the project is read', /\.\.\/[s]hared|\/work\/(?:[s]hared|[m]ain)/],
  ];
  return rules.flatMap(([rule, pattern]) => {
    const line = text.split('\n').findIndex((candidate) => pattern.test(candidate));
    return line === -1 ? [] : [{ path, rule, detail: `line ${line + 1}` }];
  });
}

/** The layer that a path under `src/` belongs to: a folder, a door's folder, `service.ts` or `main.ts`. */
export function layerOf(path: string): string {
  const [, first = '', second = ''] = path.split('/');
  return first === 'protocols' ? `protocols/${second}` : first;
}

function checkImports(file: SourceFile): readonly Violation[] {
  const violations: Violation[] = [];
  const report = (rule: string, detail: string): void => {
    violations.push({ path: file.path, rule, detail });
  };
  for (const { specifier, typeOnly } of importsOf(file.text)) {
    if (specifier === undefined) {
      report('imports are literal', 'a computed import');
    } else if (specifier.startsWith('.')) {
      if (!specifier.endsWith('.ts')) report('import paths end in .ts', specifier);
      const target = posix.normalize(posix.join(posix.dirname(file.path), specifier));
      if (!mayImport(file.path, target, typeOnly)) report('import rules', target);
    } else {
      const fault = packageFault(file.path, specifier);
      if (fault !== undefined) report(fault, specifier);
    }
  }
  return violations;
}

/** DESIGN §3's table. */
function mayImport(path: string, target: string, typeOnly: boolean): boolean {
  const from = layerOf(path);
  const to = layerOf(target);
  if (!target.startsWith('src/')) return false;
  if (from === to) return true;
  if (to === 'main.ts') return false;
  if (from === 'service.ts') return to !== 'cli';
  if (COMPOSITION.includes(from)) {
    return isFamily(to) || ['config', 'decision', 'telemetry'].includes(to) || COMPOSITION.slice(1).includes(to);
  }
  if (from === 'main.ts') return ['service.ts', 'open-trial.ts', 'config', 'cli', 'telemetry'].includes(to);
  if (COMPOSITION.includes(to)) return false;
  if (from === 'decision') return false;
  if (from === 'telemetry') return to === 'decision' && typeOnly;
  if (from === 'listener') return ['decision', 'telemetry'].includes(to);
  if (from === 'operations' || from.startsWith('protocols/')) return ['decision', 'telemetry', 'listener'].includes(to);
  if (from === 'config') return posix.basename(target) === 'config.ts';
  if (from === 'bundle-server') return ['bundle', 'decision', 'telemetry', 'listener'].includes(to);
  if (from === 'cli') return ['config', 'decision', 'telemetry', 'bundle-server', ...FAMILIES].includes(to);
  if (isFamily(from)) return ['decision', 'telemetry', 'regex'].includes(to);
  // A folder that the table does not know must be added to it first.
  return false;
}

function isFamily(layer: string): boolean {
  return FAMILIES.some((family) => family === layer);
}

function packageFault(path: string, specifier: string): string | undefined {
  const layer = layerOf(path);
  if (layer === 'decision') return 'decision/ imports nothing outside itself';
  if (layer === 'regex' && specifier !== 're2js') return 'regex/ imports re2js only';
  if (specifier.startsWith('@open-policy-agent/opa-wasm') && path !== 'src/policy/opa-wasm.ts') {
    return 'only src/policy/opa-wasm.ts imports the SDK';
  }
  if (layer.startsWith('protocols/') && specifier === 'express') return 'no express in a door';
  if (BARE_BUILTINS.has(specifier.split('/')[0] ?? '')) return 'builtins are imported with node:';
  return undefined;
}

const BARE_BUILTINS = new Set([
  'fs',
  'path',
  'crypto',
  'http',
  'http2',
  'https',
  'net',
  'tls',
  'os',
  'url',
  'util',
  'zlib',
]);

const FORBIDDEN_WORDS = new Set(
  ['manager', 'helper', 'helpers', 'util', 'utils', 'impl', 'base', 'handler', 'info', 'my'].concat([
    'process',
    'handle',
    'do',
  ]),
);

function checkFileName(path: string): readonly Violation[] {
  const name = posix.basename(path);
  if (name === 'index.ts') return [{ path, rule: 'no barrels', detail: name }];
  return path
    .split(/[/.-]/)
    .filter((word) => FORBIDDEN_WORDS.has(word))
    .map((word) => ({ path, rule: 'forbidden words', detail: word }));
}

function checkNames({ path, text }: SourceFile): readonly Violation[] {
  return exportedNames(text).flatMap((name) =>
    wordsOf(name)
      .filter((word) => FORBIDDEN_WORDS.has(word))
      .map((word) => ({ path, rule: 'forbidden words', detail: `\`${name}\` has \`${word}\`` })),
  );
}

/** `parseHTTPInfo` → parse, http, info; `Base64` stays one word. */
function wordsOf(name: string): readonly string[] {
  const words = name.match(/[A-Z]+(?![a-z0-9])|[A-Z]?[a-z0-9]+/g) ?? [];
  return words.map((word) => word.toLowerCase());
}

function checkTypes({ path, text }: SourceFile): readonly Violation[] {
  const code = blank(text);
  return /(?:[:<|&,(=]\s*|\bas\s+|\bextends\s+)any\b(?!\s*[:(.]|\[\w)/.test(code)
    ? [{ path, rule: 'no any', detail: 'any' }]
    : [];
}

function checkWireParsing({ path, text }: SourceFile): readonly Violation[] {
  if (!path.startsWith('src/protocols/')) return [];
  const code = blank(text);
  const rules: readonly (readonly [string, RegExp])[] = [
    ['new URL', /\bnew\s+URL\s*\(|\bURL\.(?:parse|canParse)\b/],
    ['path.normalize', /\bnormalize\s*\(/],
  ];
  return rules
    .filter(([, pattern]) => pattern.test(code))
    .map(([detail]) => ({ path, rule: 'doors do not rewrite targets', detail }));
}

const MAX_LINES = 300;

function checkLength({ path, text }: SourceFile): readonly Violation[] {
  const lines = text.replace(/\n$/, '').split('\n').length;
  return lines > MAX_LINES ? [{ path, rule: `at most ${MAX_LINES} lines`, detail: `${lines} lines` }] : [];
}
