import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseAllDocuments, type Scalar } from 'yaml';
import { isNumber, toDouble } from '../values/number.ts';
import { define, isObject } from '../values/object.ts';
import { shortestText } from '../values/shortest-text.ts';
import type { NumberValue, PlainObject, Value } from '../values/value.ts';
import { decodeBase64 } from './base64.ts';
import { readPlainScalar } from './yaml-scalar.ts';

/** Values that a document may have, each alias counted with all that it stands for. */
const MOST_VALUES = 200_000;

/** Lists and mappings within each other. */
const DEEPEST = 1_000;

interface Budget {
  charge(steps: number): void;
}

/** The reader takes some microseconds for each character of a text that is made to be slow. */
const STEPS = 400;

/**
 * The first of a text's YAML documents as a value, as OPA reads it; throws a `SyntaxError` for a text of which any
 * document is wrong, or that has too many values. Of two equal keys the last counts, keys become texts, `<<` merges.
 */
export function readYaml(text: string, budget: Budget): Value {
  budget.charge(text.length * STEPS);
  const lines = new LineCounter();
  const documents = parse(text, lines);
  for (const { errors, directives } of documents) {
    const [error] = errors;
    if (error !== undefined) {
      const { line } = lines.linePos(error.pos[0]);
      throw new SyntaxError(`yaml: line ${line}: did not find what was expected: ${error.message.split('\n', 1)[0]}`);
    }
    if (directives.yaml.explicit === true && directives.yaml.version !== '1.1') fail('an incompatible version');
  }
  const first = documents[0];
  return first === undefined ? null : createBuilder(budget).value(first.contents, 0).value;
}

function parse(text: string, lineCounter: LineCounter): readonly Document.Parsed[] {
  try {
    const documents = parseAllDocuments(text, {
      schema: 'failsafe',
      logLevel: 'silent',
      uniqueKeys: false,
      prettyErrors: false,
      lineCounter,
    });
    return Array.isArray(documents) ? documents : [];
  } catch (error) {
    // Its parser is recursive.
    if (error instanceof RangeError) fail('too many lists and mappings within each other');
    throw error;
  }
}

function fail(wrong: string): never {
  throw new SyntaxError(`yaml: ${wrong}`);
}

/** A value, and how many there are in it. */
interface Built {
  readonly value: Value;
  readonly size: number;
}

interface Builder {
  value(node: unknown, depth: number): Built;
}

function createBuilder(budget: Budget): Builder {
  const anchors = new Map<string, Built | 'open'>();
  let total = 0;

  function value(node: unknown, depth: number): Built {
    if (depth > DEEPEST) fail('too many lists and mappings within each other');
    if (isAlias(node)) return count(aliased(node.source));
    if (node === null || node === undefined) return count({ value: null, size: 1 });
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
    if (anchor !== undefined) anchors.set(anchor, 'open');
    const built = content(node, depth);
    if (anchor !== undefined) anchors.set(anchor, built);
    return built;
  }

  function aliased(name: string): Built {
    const built = anchors.get(name);
    if (built === undefined) fail('an unknown anchor');
    return built === 'open' ? fail('an anchor whose value contains itself') : built;
  }

  function count(built: Built): Built {
    total += built.size;
    if (total > MOST_VALUES) fail('too many values');
    budget.charge(built.size);
    return built;
  }

  function content(node: unknown, depth: number): Built {
    if (isScalar(node)) return count({ value: scalar(node), size: 1 });
    if (isSeq(node)) {
      const items: Value[] = [];
      let size = count({ value: items, size: 1 }).size;
      for (const item of node.items) {
        const built = value(item, depth + 1);
        items.push(built.value);
        size += built.size;
      }
      return { value: items, size };
    }
    return isMap(node) ? mapping(node.items, depth) : fail('an unknown node');
  }

  function mapping(pairs: readonly { readonly key: unknown; readonly value: unknown }[], depth: number): Built {
    const members: PlainObject = {};
    const merged: Value[] = [];
    let size = count({ value: members, size: 1 }).size;
    for (const pair of pairs) {
      const isMerge = isMergeKey(pair.key);
      const key = isMerge ? '' : keyText(value(pair.key, depth + 1).value);
      const built = value(pair.value, depth + 1);
      size += built.size;
      if (isMerge) merged.push(...(Array.isArray(built.value) ? built.value : [built.value]));
      else define(members, key, built.value);
    }
    for (const source of merged) size += merge(members, source);
    return { value: members, size };
  }

  /** What is there already stays. */
  function merge(members: PlainObject, source: Value): number {
    if (!isObject(source)) return fail('a merge of what is no mapping');
    const entries = Object.entries(source);
    count({ value: source, size: entries.length });
    for (const [key, member] of entries) if (!Object.hasOwn(members, key)) define(members, key, member);
    return entries.length;
  }

  return { value };
}

function isMergeKey(key: unknown): boolean {
  return isScalar(key) && key.type === 'PLAIN' && key.value === '<<' && (key.tag ?? '!') === '!';
}

function keyText(key: Value): string {
  if (typeof key === 'string') return key;
  if (typeof key === 'boolean') return String(key);
  if (!isNumber(key)) return fail('a key that JSON does not have');
  const text = String(key);
  return /^-?[0-9]+$/.test(text) && text !== '-0' ? text : floatKey(key);
}

/** As go-yaml writes a float of 32 bits: with the fewest digits that mean the same one. */
function floatKey(key: NumberValue): string {
  const float = Math.fround(toDouble(key));
  for (let digits = 1; digits < 9; digits++) {
    const shorter = Number(float.toPrecision(digits));
    if (Math.fround(shorter) === float) return shortestText(shorter);
  }
  return shortestText(Number(float.toPrecision(9)));
}

const TAG = 'tag:yaml.org,2002:';

function scalar(node: Scalar): Value {
  const text = typeof node.value === 'string' ? node.value : (node.source ?? '');
  const { tag } = node;
  if (tag === undefined || tag === '!') return node.type === 'PLAIN' ? plain(text) : text;
  if (!tag.startsWith(TAG)) return text;
  const name = tag.slice(TAG.length);
  if (name === 'str') return text;
  if (name === 'binary') return binary(text);
  const value = plain(text);
  if (name === 'null' && value === null) return value;
  if (name === 'bool' && typeof value === 'boolean') return value;
  if ((name === 'int' || name === 'float') && isNumber(value)) return value;
  if (name === 'int' || name === 'float' || name === 'null' || name === 'bool')
    fail('a value that its tag does not fit');
  return name === 'timestamp' ? fail('a tagged timestamp') : text;
}

function plain(text: string): Value {
  const value = readPlainScalar(text);
  return value === undefined ? fail('a number that is not finite') : value;
}

function binary(text: string): string {
  const bytes = decodeBase64(text, 'standard');
  return typeof bytes === 'number' ? fail('binary data that are no base64') : bytes.toString('utf8');
}
