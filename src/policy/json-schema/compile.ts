import { compileRegex, type Regex, RegexError } from '../../regex/regex.ts';
import { compareNumbers, isNumber } from '../values/number.ts';
import { isArray, memberOf } from '../values/object.ts';
import type { NumberValue, PlainObject, Value } from '../values/value.ts';
import { asJson, normalJson } from './json-document.ts';
import {
  boolOrSchema,
  countAt,
  inOrder,
  isMap,
  isSchema,
  listAt,
  textAt,
  wrongDependency,
  wrongType,
} from './keywords.ts';
import { createReferences, ROOT_SCOPE, type Scope } from './references.ts';
import { type Budget, emptyNode, SchemaError, type SchemaNode, type SchemaType } from './schema-node.ts';

/** Schemas in one, and such within each other. */
const MOST_NODES = 20_000;
const DEEPEST = 200;

const TYPES: readonly SchemaType[] = ['array', 'boolean', 'integer', 'number', 'null', 'object', 'string'];

const LIMITS = [
  ['minimum', 'exclusiveMinimum'],
  ['maximum', 'exclusiveMaximum'],
] as const;

/** Which keywords count: those of a draft, or of all of them where a schema names none that is known. */
type Draft = 4 | 6 | 7 | 'any';

const DRAFTS: ReadonlyMap<string, Draft> = new Map<string, Draft>([
  ['http://json-schema.org/draft-04/schema', 4],
  ['http://json-schema.org/draft-06/schema', 6],
  ['http://json-schema.org/draft-07/schema', 7],
]);

/**
 * Compiles a schema of draft 4, 6 or 7; throws a `SchemaError`. It may have 20,000 schemas, 200 within each other, and
 * references to what it names itself.
 */
export function compileSchema(document: Value, budget: Budget): SchemaNode {
  const draft = draftOf(asJson(document));
  const references = createReferences(document);
  const referred = new Map<string, SchemaNode>();
  let nodes = 0;

  function compile(value: Value, outer: Scope, depth: number): SchemaNode {
    budget.charge(100);
    nodes += 1;
    if (nodes > MOST_NODES || depth > DEEPEST) throw new SchemaError('the schema is too large');
    const node = emptyNode();
    fill(node, value, outer, depth);
    return node;
  }

  function fill(node: SchemaNode, value: Value, outer: Scope, depth: number): void {
    const json = asJson(value);
    if (typeof json === 'boolean' && draft !== 4) {
      node.pass = json;
      return;
    }
    if (!isMap(json)) throw new SchemaError('Expected: Valid Schema, given: Invalid JSON');
    const scope = references.scopeOf(json, outer);
    const inner = (each: Value) => compile(each, scope, depth + 1);
    textAt(json, draft === 4 || (draft === 'any' && Object.hasOwn(json, 'id')) ? 'id' : '$id');
    const definitions = memberOf(json, 'definitions');
    if (definitions !== undefined) {
      const all = asJson(definitions);
      if (!isMap(all)) throw wrongType('Array Of Schemas', 'definitions');
      for (const [, each] of inOrder(all)) {
        if (!isSchema(each)) throw wrongType('Array Of Schemas', 'definitions');
        inner(each);
      }
    }
    textAt(json, 'title');
    textAt(json, 'description');
    const reference = textAt(json, '$ref');
    if (reference !== undefined) {
      node.reference = follow(reference, scope, depth);
      return;
    }
    fillTypes(node, memberOf(json, 'type'));
    fillObjectSchemas(node, json, inner);
    fillItemSchemas(node, json, inner);
    fillNumbers(node, json);
    fillTexts(node, json);
    fillObjectLimits(node, json);
    fillArrayLimits(node, json, inner);
    fillConstants(node, json);
    fillCombinations(node, json, inner);
  }

  function follow(reference: string, from: Scope, depth: number): SchemaNode {
    const found = references.find(reference, from);
    const known = referred.get(found.name);
    if (known !== undefined) return known;
    if (!isSchema(found.document)) throw new SchemaError('Valid Schema must be of type object');
    const node = emptyNode();
    // It may refer to itself.
    referred.set(found.name, node);
    nodes += 1;
    if (nodes > MOST_NODES || depth > DEEPEST) throw new SchemaError('the schema is too large');
    fill(node, found.document, found.scope, depth + 1);
    return node;
  }

  function fillTypes(node: SchemaNode, type: Value | undefined): void {
    if (type === undefined) return;
    const json = asJson(type);
    for (const name of isArray(json) ? json : [json]) {
      if (typeof name !== 'string') throw wrongType('type', 'string/Array Of Strings');
      const known = TYPES.find((one) => one === name);
      if (known === undefined) {
        throw new SchemaError(
          `has a primitive type that is NOT VALID -- given: /${name}/ Expected valid values are:[${TYPES.join(' ')}]`,
        );
      }
      if (node.types.includes(known)) throw new SchemaError(`${name} type is duplicated`);
      node.types.push(known);
    }
  }

  function fillObjectSchemas(node: SchemaNode, json: PlainObject, inner: (each: Value) => SchemaNode): void {
    const properties = memberOf(json, 'properties');
    if (properties !== undefined) {
      const map = asJson(properties);
      if (!isMap(map)) throw new SchemaError('Properties must be of type object');
      for (const [name, each] of inOrder(map)) node.properties.set(name, inner(each));
    }
    const additional = memberOf(json, 'additionalProperties');
    if (additional !== undefined) node.additionalProperties = boolOrSchema(additional, 'additionalProperties', inner);
    const patterns = memberOf(json, 'patternProperties');
    if (patterns !== undefined) {
      const map = asJson(patterns);
      if (!isMap(map)) throw wrongType('Valid Schema', 'patternProperties');
      for (const [pattern, each] of inOrder(map)) {
        const regex = regexOf(pattern, `Invalid regex pattern '${pattern}'`);
        node.patternProperties.push([regex, inner(each)]);
      }
    }
    const names = draft === 4 ? undefined : memberOf(json, 'propertyNames');
    if (names !== undefined) {
      if (!isSchema(names)) throw wrongType('Valid Schema', 'patternProperties');
      node.propertyNames = inner(names);
    }
    const dependencies = memberOf(json, 'dependencies');
    if (dependencies === undefined) return;
    const map = asJson(dependencies);
    if (!isMap(map)) throw new SchemaError('dependencies must be of type object');
    for (const [name, each] of inOrder(map)) {
      const list = asJson(each);
      if (isArray(list)) {
        const names = list.filter((one) => typeof one === 'string');
        if (names.length < list.length) throw wrongDependency();
        node.dependentNames.set(name, names);
      } else if (isSchema(each)) node.dependentSchemas.set(name, inner(each));
      else throw wrongDependency();
    }
  }

  function fillItemSchemas(node: SchemaNode, json: PlainObject, inner: (each: Value) => SchemaNode): void {
    const items = memberOf(json, 'items');
    if (items !== undefined) {
      const list = asJson(items);
      const wrong = 'Valid Schema/Array Of Schemas';
      if (isArray(list)) {
        node.placedItems = list.map((each) => {
          if (!isSchema(each)) throw wrongType(wrong, 'items');
          return inner(each);
        });
      } else if (isSchema(items)) node.items = inner(items);
      else throw wrongType(wrong, 'items');
    }
    const additional = memberOf(json, 'additionalItems');
    if (additional !== undefined) node.additionalItems = boolOrSchema(additional, 'additionalItems', inner);
  }

  function fillNumbers(node: SchemaNode, json: PlainObject): void {
    const multipleOf = memberOf(json, 'multipleOf');
    if (multipleOf !== undefined) {
      if (!isNumber(multipleOf)) throw wrongType('Number', 'multipleOf');
      if (compareNumbers(multipleOf, 0) <= 0) throw new SchemaError('multipleOf must be strictly greater than 0');
      node.multipleOf = multipleOf;
    }
    for (const [name, exclusive] of LIMITS) {
      const { inclusive, beyond } = limits(json, name, exclusive);
      if (inclusive !== undefined) node[name] = inclusive;
      if (beyond !== undefined) node[exclusive] = beyond;
    }
  }

  /** In draft 4 the exclusive one says of the other what it is. */
  function limits(
    json: PlainObject,
    name: string,
    exclusive: string,
  ): { inclusive?: NumberValue; beyond?: NumberValue } {
    const limit = memberOf(json, name);
    if (limit !== undefined && !isNumber(limit)) throw new SchemaError(`${name} must be of a Number`);
    const inclusive = limit === undefined ? {} : { inclusive: limit };
    const other = memberOf(json, exclusive);
    if (other === undefined) return inclusive;
    if (isNumber(other) && draft !== 4) return { ...inclusive, beyond: other };
    if (typeof other !== 'boolean' || draft === 6 || draft === 7) {
      throw wrongType(draft === 4 ? 'boolean' : draft === 'any' ? 'boolean/number' : 'number', exclusive);
    }
    if (limit === undefined) throw new SchemaError(`${exclusive} cannot be used without ${name}`);
    return other ? { beyond: limit } : inclusive;
  }

  function fillTexts(node: SchemaNode, json: PlainObject): void {
    const min = countAt(json, 'minLength');
    if (min !== undefined) node.minLength = min;
    const max = countAt(json, 'maxLength');
    if (max !== undefined) node.maxLength = max;
    if ((min ?? 0) > (max ?? Infinity)) throw new SchemaError('minLength cannot be greater than maxLength');
    const pattern = textAt(json, 'pattern');
    if (pattern !== undefined) node.pattern = regexOf(pattern, 'pattern must be a valid regex');
    const format = textAt(json, 'format');
    if (format !== undefined) node.format = format;
  }

  function regexOf(pattern: string, wrong: string): Regex {
    budget.charge(100 + pattern.length * 50);
    try {
      return compileRegex(pattern);
    } catch (error) {
      if (error instanceof RegexError) throw new SchemaError(wrong);
      throw error;
    }
  }

  function fillObjectLimits(node: SchemaNode, json: PlainObject): void {
    const min = countAt(json, 'minProperties');
    if (min !== undefined) node.minProperties = min;
    const max = countAt(json, 'maxProperties');
    if (max !== undefined) node.maxProperties = max;
    if ((min ?? 0) > (max ?? Infinity)) throw new SchemaError('minProperties cannot be greater than maxProperties');
    const names = new Set<string>();
    for (const name of listAt(json, 'required')) {
      if (typeof name !== 'string') throw wrongType('string', 'required');
      if (names.has(name)) throw new SchemaError('required items must be unique');
      names.add(name);
    }
    node.required = [...names];
  }

  function fillArrayLimits(node: SchemaNode, json: PlainObject, inner: (each: Value) => SchemaNode): void {
    const min = countAt(json, 'minItems');
    if (min !== undefined) node.minItems = min;
    const max = countAt(json, 'maxItems');
    if (max !== undefined) node.maxItems = max;
    const unique = memberOf(json, 'uniqueItems') ?? false;
    if (typeof unique !== 'boolean') throw new SchemaError('uniqueItems must be of a boolean');
    node.uniqueItems = unique;
    const contains = draft === 4 ? undefined : memberOf(json, 'contains');
    if (contains !== undefined) node.contains = inner(contains);
  }

  function fillConstants(node: SchemaNode, json: PlainObject): void {
    const constant = draft === 4 ? undefined : memberOf(json, 'const');
    if (constant !== undefined) node.constant = normalJson(constant, budget);
    if (memberOf(json, 'enum') === undefined) return;
    const allowed = listAt(json, 'enum').map((each) => normalJson(each, budget));
    if (new Set(allowed).size < allowed.length) throw new SchemaError('enum items must be unique');
    node.allowed = allowed;
  }

  function fillCombinations(node: SchemaNode, json: PlainObject, inner: (each: Value) => SchemaNode): void {
    for (const name of ['oneOf', 'anyOf', 'allOf'] as const) node[name] = listAt(json, name).map(inner);
    for (const name of draft === 4 || draft === 6 ? (['not'] as const) : (['not', 'if', 'then', 'else'] as const)) {
      const value = memberOf(json, name);
      if (value === undefined) continue;
      if (!isSchema(value)) throw new SchemaError(`${name} must be of an object`);
      node[name] = inner(value);
    }
  }

  return compile(document, ROOT_SCOPE, 0);
}

function draftOf(json: Value): Draft {
  if (typeof json === 'boolean') return 'any';
  if (!isMap(json)) throw new SchemaError('schema is invalid');
  const url = memberOf(json, '$schema');
  if (url === undefined) return 'any';
  if (typeof url !== 'string') throw new SchemaError('$schema must be of type string');
  return DRAFTS.get(url.endsWith('#') ? url.slice(0, -1) : url) ?? 'any';
}
