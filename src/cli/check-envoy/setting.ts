import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';

/** One place of an Envoy config: a scalar, or what stands below it, and where in the file it is written. */
export interface Setting {
  readonly kind: 'map' | 'list' | 'scalar';
  /** From the root, as written: `static_resources.listeners[0].name`. */
  readonly path: string;
  /** Both from 1: of the key, or of the item of a list. */
  readonly line: number;
  readonly column: number;
  /** Of a scalar; null elsewhere. */
  readonly scalar: string | number | boolean | null;
  /** Of a map, by key as written. */
  readonly fields: ReadonlyMap<string, Setting>;
  /** Of a list. */
  readonly items: readonly Setting[];
}

/** The file is no YAML or JSON that Envoy and this reader would read alike. */
export class UnreadableConfig extends Error {
  override readonly name = 'UnreadableConfig';
}

/** Reads YAML or JSON with places; anchors are followed. Throws {@link UnreadableConfig}. */
export function readSettings(text: string): Setting {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    throw new UnreadableConfig(`${line}:${col} cannot be read: ${error.message}`);
  }
  const root = createReading(document, lines)(document.contents, '', { line: 1, col: 1 }, 0);
  if (root.kind !== 'map') throw new UnreadableConfig('1:1 cannot be read: an Envoy bootstrap is a map of settings');
  return root;
}

/**
 * What stands below, step by step, each name in Envoy's snake_case or JSON's lowerCamelCase. Absent and null are one:
 * Envoy takes its default for both.
 */
export function field(from: Setting | undefined, ...names: readonly string[]): Setting | undefined {
  let setting = from;
  for (const name of names) setting = setting?.fields.get(name) ?? setting?.fields.get(toCamelCase(name));
  return setting === undefined || isNull(setting) ? undefined : setting;
}

/** The items of a list below; none where there is no list. */
export function listOf(from: Setting | undefined, ...names: readonly string[]): readonly Setting[] {
  return field(from, ...names)?.items ?? [];
}

/** The text of a scalar below, whatever its type; undefined where there is none. */
export function textOf(from: Setting | undefined, ...names: readonly string[]): string | undefined {
  const setting = field(from, ...names);
  return setting?.kind === 'scalar' && setting.scalar !== null ? String(setting.scalar) : undefined;
}

/** The setting itself and everything below it, from top to bottom. */
export function* everySetting(setting: Setting): Generator<Setting> {
  yield setting;
  for (const below of setting.fields.values()) yield* everySetting(below);
  for (const below of setting.items) yield* everySetting(below);
}

/** The last name of a path, in snake_case. */
export function nameOf(setting: Setting): string {
  return toSnakeCase(setting.path.split('.').at(-1) ?? '');
}

/** `failureModeAllow` → `failure_mode_allow`; other names stay. */
export function toSnakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

export function toCamelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());
}

/** Aliases may repeat a part of the file many times over. */
const MAX_SETTINGS = 200_000;
const MAX_DEPTH = 200;

type Place = { readonly line: number; readonly col: number };
type Reading = (node: unknown, path: string, place: Place, depth: number) => Setting;

function createReading(document: Document, lines: LineCounter): Reading {
  let count = 0;
  const placeOf = (node: unknown, otherwise: Place): Place => {
    const range = isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? (node as Node).range : undefined;
    return range === undefined || range === null ? otherwise : lines.linePos(range[0]);
  };
  const read: Reading = (node, path, place, depth) => {
    const at = `${place.line}:${place.col}`;
    count += 1;
    if (count > MAX_SETTINGS || depth > MAX_DEPTH) {
      throw new UnreadableConfig(`${at} cannot be read: too many settings, or one too deep`);
    }
    const { line, col: column } = place;
    if (isAlias(node)) {
      const target = node.resolve(document);
      if (target === undefined) throw new UnreadableConfig(`${at} cannot be read: \`*${node.source}\` names nothing`);
      return read(target, path, place, depth + 1);
    }
    if (isMap(node)) {
      const fields = new Map<string, Setting>();
      for (const { key, value } of node.items) {
        const keyPlace = placeOf(key, place);
        if (!isScalar(key)) {
          throw new UnreadableConfig(`${keyPlace.line}:${keyPlace.col} cannot be read: a key that is no text`);
        }
        const name = String(key.value);
        fields.set(name, read(value, path === '' ? name : `${path}.${name}`, keyPlace, depth + 1));
      }
      return { kind: 'map', path, line, column, scalar: null, fields, items: [] };
    }
    if (isSeq(node)) {
      const items = node.items.map((item, index) => read(item, `${path}[${index}]`, placeOf(item, place), depth + 1));
      return { kind: 'list', path, line, column, scalar: null, fields: NO_FIELDS, items };
    }
    const value = isScalar(node) ? node.value : null;
    return { kind: 'scalar', path, line, column, scalar: toScalar(value), fields: NO_FIELDS, items: [] };
  };
  return read;
}

const NO_FIELDS: ReadonlyMap<string, Setting> = new Map();

function toScalar(value: unknown): Setting['scalar'] {
  if (value === null || value === undefined) return null;
  if (typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string') return value;
  return typeof value === 'bigint' ? String(value) : UNREADABLE;
}

/** What a tag such as `!!binary` makes of a scalar is nothing that Envoy reads. */
const UNREADABLE = '?';

function isNull(setting: Setting): boolean {
  return setting.kind === 'scalar' && setting.scalar === null;
}
