import { define } from '../values/object.ts';
import type { PlainObject, Value } from '../values/value.ts';
import { keyText, type YamlMembers, yamlMembers } from './yaml-members.ts';
import { parseYaml, type YamlAlias, type YamlMapping, type YamlNode, type YamlScalar } from './yaml-parse.ts';
import { floatValue, resolvePlain } from './yaml-scalar.ts';
import { resolveScalar } from './yaml-tag.ts';

/** Values that a document may have, each alias counted with all that it stands for. */
const MOST_VALUES = 200_000;

/** Lists and mappings within each other. */
const DEEPEST = 1_000;

interface Budget {
  charge(steps: number): void;
}

const STEPS_PER_CHARACTER = 40;
const STEPS_PER_VALUE = 20;

/** What go-yaml reads: no other control characters, nothing that Unicode has no character for. */
const UNREADABLE = /[^\t\n\r\x20-\x7e\x85\xa0-\ufffd\u{10000}-\u{10ffff}]/u;

const MARK = '\ufeff';

/**
 * The first of a text's YAML documents as a value, as OPA reads it; throws a `SyntaxError` for a text of which any
 * document is wrong, or that has too many values. Of two equal keys the last counts, keys become texts, `<<` merges. No
 * value has `!!timestamp` for a tag.
 */
export function readYaml(text: string, budget: Budget): Value {
  budget.charge(text.length * STEPS_PER_CHARACTER);
  if (UNREADABLE.test(text)) fail('control characters are not allowed');
  const marked = text.startsWith(MARK);
  // What go-yaml makes of two lies in how its buffers are filled.
  if (text.startsWith(MARK, 1) && marked) fail('more than one byte order mark');
  try {
    const first = parseYaml(marked ? text.slice(1) : text, DEEPEST);
    return first === undefined ? null : createReader(budget).value(first);
  } catch (error) {
    // Both go down as deep as the text does.
    if (error instanceof RangeError) fail('too many lists and mappings within each other');
    throw error;
  }
}

function fail(wrong: string): never {
  throw new SyntaxError(`yaml: ${wrong}`);
}

interface Reader {
  value(node: YamlNode): Value;
}

type Content = Exclude<YamlNode, YamlAlias>;

function createReader(budget: Budget): Reader {
  const open = new Set<YamlAlias>();
  const known = new Map<YamlMapping, YamlMembers>();
  let total = 0;
  let behindAliases = 0;

  function value(node: YamlNode): Value {
    return read(node, (content) => {
      switch (content.kind) {
        case 'scalar':
          return scalar(content);
        case 'sequence':
          return content.items.map(value);
        case 'mapping':
          return mapping(content);
      }
    });
  }

  /** Counts a value, and follows an alias. */
  function read<T>(node: YamlNode, use: (content: Content) => T): T {
    total++;
    if (open.size > 0) behindAliases++;
    if (total > MOST_VALUES) fail('too many values');
    if (behindAliases > 100 && total > 1_000 && behindAliases / total > 0.99) fail('too many aliases');
    budget.charge(STEPS_PER_VALUE);
    if (node.kind !== 'alias') return use(node);
    if (open.has(node)) fail('an anchor whose value contains itself');
    open.add(node);
    const result = read(node.target, use);
    open.delete(node);
    return result;
  }

  function mapping(node: YamlMapping): Value {
    const members: PlainObject = {};
    fill(members, node, membersOf(node).named, undefined);
    return members;
  }

  /** With `taken`, which are the keys that are there already, what is there stays. */
  function fill(members: PlainObject, node: YamlMapping, named: boolean, taken: Set<string> | undefined): void {
    const { pairs, merges } = membersOf(node);
    for (const [keyNode, valueNode] of pairs) {
      const key = read(keyNode, named ? nameOf : keyOf);
      if (key === undefined || taken?.has(key) === true) continue;
      taken?.add(key);
      define(members, key, value(valueNode));
    }
    if (merges.length === 0) return;
    // The mapping's own `<<` is a key that is there too.
    const there = taken ?? new Set(['<<', ...Object.keys(members)]);
    for (const source of merges) {
      read(source, (content) => {
        if (content.kind === 'mapping') fill(members, content, named, there);
      });
    }
  }

  function membersOf(node: YamlMapping): YamlMembers {
    const members = known.get(node) ?? yamlMembers(node);
    known.set(node, members);
    return members;
  }

  return { value };
}

function keyOf(content: Content): string {
  if (content.kind !== 'scalar') return fail('a key that JSON does not have');
  return keyText(resolveScalar(content)) ?? (isDate(content) ? content.text : fail('a key that JSON does not have'));
}

/** The same in a mapping all of whose keys are texts: as it is written. `undefined` for null, which a merge passes over. */
function nameOf(content: Content): string | undefined {
  if (content.kind !== 'scalar') return fail('a key that JSON does not have');
  const { tag, value } = resolveScalar(content);
  // Its bytes are what counts of binary data.
  if (tag === '!!str') return value;
  return tag === '!!null' ? undefined : content.text;
}

function scalar(node: YamlScalar): Value {
  const { tag, value } = resolveScalar(node);
  if (tag === '!!timestamp') return isDate(node) ? node.text : fail('a tagged timestamp');
  if (tag === '!!float') return floatValue(value) ?? fail('a number that is not finite');
  return value;
}

/** Whether a timestamp is one by its looks only, and so a text. */
function isDate({ tag, plain, text }: YamlScalar): boolean {
  return (tag === '' || tag === '!') && plain && resolvePlain(text).tag === '!!timestamp';
}
