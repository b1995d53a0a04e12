import { numberText } from '../values/number.ts';
import { shortestText } from '../values/shortest-text.ts';
import type { YamlMapping, YamlNode, YamlPair, YamlScalar } from './yaml-parse.ts';
import type { YamlResolved } from './yaml-scalar.ts';
import { isMergeKey, resolveScalar, shortTag } from './yaml-tag.ts';

/** A mapping's own members, and what its `<<` merge into it, the first before the others. */
export interface YamlMembers {
  readonly pairs: readonly YamlPair[];
  readonly merges: readonly YamlNode[];
  /** Whether all its own keys are texts. */
  readonly named: boolean;
}

/** Of members with one key the last counts. Throws a `SyntaxError` where the keys are equal in writing and not in meaning. */
export function yamlMembers({ pairs }: YamlMapping): YamlMembers {
  const own: YamlPair[] = [];
  const merged: YamlNode[] = [];
  const places = new Map<string, number>();
  const written = new Set<string>();
  let mergeKeys = 0;
  for (const pair of pairs) {
    const [key, value] = pair;
    if (key.kind === 'scalar' && isMergeKey(key)) {
      mergeKeys++;
      merged.push(...(value.kind === 'sequence' ? value.items : [value]));
      continue;
    }
    const id = key.kind === 'scalar' ? idOf(key) : undefined;
    const place = id === undefined ? undefined : places.get(id);
    if (place !== undefined) {
      const [first] = own[place] ?? pair;
      own[place] = [first, value];
      continue;
    }
    if (id !== undefined) places.set(id, own.length);
    const name = writtenAs(key);
    if (written.has(name)) throw twice();
    written.add(name);
    own.push(pair);
  }
  if (mergeKeys > 0 && (written.has('scalar <<') || (mergeKeys > 1 && merged.length < 2))) throw twice();
  return { pairs: own, merges: merged.map(mapped), named: own.every(([key]) => isText(key)) };
}

function twice(): SyntaxError {
  return new SyntaxError('yaml: a key that is there already');
}

/** The same node, if it is a mapping or an alias of one. */
function mapped(node: YamlNode): YamlNode {
  if (node.kind === 'mapping' || (node.kind === 'alias' && node.target.kind === 'mapping')) return node;
  throw new SyntaxError('yaml: a merge of what is no mapping');
}

function writtenAs(key: YamlNode): string {
  return key.kind === 'scalar' ? `scalar ${key.text}` : key.kind === 'alias' ? `alias ${key.name}` : key.kind;
}

function isText(key: YamlNode): boolean {
  const node = key.kind === 'alias' ? key.target : key;
  if (node.kind !== 'scalar' || (node.tag !== '' && node.tag !== '!')) {
    return node.kind !== 'alias' && shortTag(node.tag) === '!!str';
  }
  const { tag } = resolveScalar(node);
  return tag === '!!str' || tag === '!!timestamp';
}

/** What tells keys of one mapping from each other; `undefined` where two that are alike are a mistake. */
function idOf(key: YamlScalar): string | undefined {
  try {
    return keyText(resolveScalar(key));
  } catch {
    // It fails where it is read, if it still is.
    return undefined;
  }
}

/** A key's text in JSON; `undefined` for what has none, or has it only as a text. */
export function keyText({ tag, value }: YamlResolved): string | undefined {
  switch (tag) {
    case '!!str':
      return value;
    case '!!bool':
      return String(value);
    case '!!int':
      return numberText(value);
    case '!!float':
      return floatKey(value);
    case '!!null':
    case '!!timestamp':
      return undefined;
  }
}

/** As go-yaml writes a float of 32 bits: with the fewest digits that mean the same one. */
function floatKey(key: number): string {
  const float = Math.fround(key);
  if (Object.is(float, -0)) return '-0';
  if (Number.isNaN(float)) return '.nan';
  if (!Number.isFinite(float)) return float < 0 ? '-.inf' : '.inf';
  for (let digits = 1; digits < 9; digits++) {
    const shorter = Number(float.toPrecision(digits));
    if (Math.fround(shorter) === float) return shortestText(shorter);
  }
  return shortestText(Number(float.toPrecision(9)));
}
