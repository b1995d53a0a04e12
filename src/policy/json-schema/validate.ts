import { isNumber } from '../values/number.ts';
import { isArray, memberOf } from '../values/object.ts';
import { compareTexts } from '../values/order.ts';
import type { PlainObject, Value } from '../values/value.ts';
import { add, merge, type Place, type Result, type SchemaFinding } from './findings.ts';
import { asJson, normalJson } from './json-document.ts';
import { judgeAny, judgeNumber, judgeText, matches } from './judge-scalars.ts';
import { isWhole } from './multiples.ts';
import type { Budget, SchemaNode, SchemaType } from './schema-node.ts';

/** Schemas and their references applied within each other. */
const DEEPEST = 1_500;

/** Judges a document; what is right gives no findings. Charged by the schemas that are applied and the findings. */
export function validate(schema: SchemaNode, document: Value, budget: Budget): readonly SchemaFinding[] {
  const result: Result = { findings: [], score: 0 };
  createValidator(budget).apply(schema, document, result, undefined, 0);
  return result.findings;
}

interface Validator {
  apply(schema: SchemaNode, value: Value, result: Result, place: Place | undefined, depth: number): void;
}

function createValidator(budget: Budget): Validator {
  function judge(schema: SchemaNode, value: Value, place: Place | undefined, depth: number): Result {
    const result: Result = { findings: [], score: 0 };
    apply(schema, value, result, place, depth + 1);
    return result;
  }

  function apply(schema: SchemaNode, value: Value, result: Result, place: Place | undefined, depth: number): void {
    budget.charge(20);
    if (depth > DEEPEST) throw new RangeError('a JSON schema refers to itself too deep');
    if (schema.pass !== undefined) {
      if (!schema.pass) add(budget, result, place, 'false', 'False always fails validation');
      return;
    }
    if (schema.reference !== undefined) {
      apply(schema.reference, value, result, place, depth + 1);
      return;
    }
    const json = asJson(value);
    const type = typeOf(json);
    if (!isOfType(schema, type)) {
      const expected = schema.types.length > 1 ? `[${schema.types.join(',')}]` : schema.types.join();
      add(budget, result, place, 'invalid_type', `Invalid type. Expected: ${expected}, given: ${type}`);
      return;
    }
    combine(schema, json, result, place, depth);
    if (isNumber(json)) judgeNumber(budget, schema, json, result, place);
    if (isArray(json)) array(schema, json, result, place, depth);
    if (isMap(json)) object(schema, json, result, place, depth);
    judgeAny(budget, schema, json, result, place);
    if (typeof json === 'string') judgeText(budget, schema, json, result, place);
    if (isMap(json)) {
      for (const [name, inner] of schema.properties) {
        const member = memberOf(json, name);
        if (member !== undefined) apply(inner, member, result, { name, outer: place }, depth + 1);
      }
    }
    result.score += 1;
  }

  function combine(schema: SchemaNode, json: Value, result: Result, place: Place | undefined, depth: number): void {
    if (schema.anyOf.length > 0) {
      const best = bestOf(schema.anyOf, json, place, depth);
      if (best !== undefined) {
        add(budget, result, place, 'number_any_of', 'Must validate at least one schema (anyOf)');
        merge(budget, result, best);
      }
    }
    if (schema.oneOf.length > 0) oneOf(schema.oneOf, json, result, place, depth);
    if (schema.allOf.length > 0) {
      let right = 0;
      for (const each of schema.allOf) {
        const judged = judge(each, json, place, depth);
        if (judged.findings.length === 0) right += 1;
        merge(budget, result, judged);
      }
      if (right < schema.allOf.length)
        add(budget, result, place, 'number_all_of', 'Must validate all the schemas (allOf)');
    }
    if (schema.not !== undefined && judge(schema.not, json, place, depth).findings.length === 0) {
      add(budget, result, place, 'number_not', 'Must not validate the schema (not)');
    }
    if (isMap(json)) dependencies(schema, json, result, place, depth);
    if (schema.if !== undefined) condition(schema, schema.if, json, result, place, depth);
    result.score += 1;
  }

  /** Of schemas that all do not fit the one that does so best; `undefined` where one fits. */
  function bestOf(
    schemas: readonly SchemaNode[],
    json: Value,
    place: Place | undefined,
    depth: number,
  ): Result | undefined {
    let best: Result | undefined;
    for (const each of schemas) {
      const judged = judge(each, json, place, depth);
      if (judged.findings.length === 0) return undefined;
      if (best === undefined || judged.score > best.score) best = judged;
    }
    return best;
  }

  function oneOf(
    schemas: readonly SchemaNode[],
    json: Value,
    result: Result,
    place: Place | undefined,
    depth: number,
  ): void {
    let right = 0;
    let best: Result | undefined;
    for (const each of schemas) {
      const judged = judge(each, json, place, depth);
      if (judged.findings.length === 0) right += 1;
      else if (right === 0 && (best === undefined || judged.score > best.score)) best = judged;
    }
    if (right === 1) return;
    add(budget, result, place, 'number_one_of', 'Must validate one and only one schema (oneOf)');
    if (right === 0 && best !== undefined) merge(budget, result, best);
  }

  function dependencies(
    schema: SchemaNode,
    json: PlainObject,
    result: Result,
    place: Place | undefined,
    depth: number,
  ): void {
    for (const [name, others] of schema.dependentNames) {
      if (memberOf(json, name) === undefined) continue;
      for (const other of others) {
        if (memberOf(json, other) !== undefined) continue;
        add(budget, result, place, 'missing_dependency', `Has a dependency on ${other}`);
      }
    }
    for (const [name, dependency] of schema.dependentSchemas) {
      if (memberOf(json, name) !== undefined) apply(dependency, json, result, place, depth + 1);
    }
  }

  function condition(
    schema: SchemaNode,
    asked: SchemaNode,
    json: Value,
    result: Result,
    place: Place | undefined,
    depth: number,
  ): void {
    const holds = judge(asked, json, place, depth).findings.length === 0;
    const branch = holds ? schema.then : schema.else;
    if (branch === undefined) return;
    const judged = judge(branch, json, place, depth);
    if (judged.findings.length === 0) return;
    if (holds) add(budget, result, place, 'condition_then', 'Must validate "then" as "if" was valid');
    else add(budget, result, place, 'condition_else', 'Must validate "else" as "if" was not valid');
    merge(budget, result, judged);
  }

  function array(
    schema: SchemaNode,
    items: readonly Value[],
    result: Result,
    place: Place | undefined,
    depth: number,
  ): void {
    const { placedItems, additionalItems } = schema;
    const placed = placedItems.length;
    if (placed > 0 && placed < items.length && additionalItems === false) {
      add(budget, result, place, 'array_no_additional_items', 'No additional items allowed on array');
    }
    const others = placed > 0 && typeof additionalItems === 'object' ? additionalItems : schema.items;
    for (const [at, item] of items.entries()) {
      const each = placedItems[at] ?? others;
      if (each !== undefined) merge(budget, result, judge(each, item, { name: String(at), outer: place }, depth));
    }
    if (items.length < (schema.minItems ?? 0)) {
      add(budget, result, place, 'array_min_items', `Array must have at least ${schema.minItems} items`);
    }
    if (items.length > (schema.maxItems ?? Infinity)) {
      add(budget, result, place, 'array_max_items', `Array must have at most ${schema.maxItems} items`);
    }
    if (schema.uniqueItems) unique(items, result, place);
    if (schema.contains !== undefined) contains(schema.contains, items, result, place, depth);
    result.score += 1;
  }

  function unique(items: readonly Value[], result: Result, place: Place | undefined): void {
    budget.charge(10 * items.length);
    const seen = new Map<string, number>();
    for (const [at, item] of items.entries()) {
      const name = normalJson(item, budget);
      const before = seen.get(name);
      if (before !== undefined) add(budget, result, place, 'unique', `array items[${before},${at}] must be unique`);
      seen.set(name, at);
    }
  }

  function contains(
    schema: SchemaNode,
    items: readonly Value[],
    result: Result,
    place: Place | undefined,
    depth: number,
  ): void {
    let best: Result | undefined;
    for (const [at, item] of items.entries()) {
      const judged = judge(schema, item, { name: String(at), outer: place }, depth);
      if (judged.findings.length === 0) return;
      if (best === undefined || judged.score > best.score) best = judged;
    }
    add(budget, result, place, 'contains', 'At least one of the items must match');
    if (best !== undefined) merge(budget, result, best);
  }

  function object(
    schema: SchemaNode,
    json: PlainObject,
    result: Result,
    place: Place | undefined,
    depth: number,
  ): void {
    const names = Object.keys(json);
    budget.charge(names.length);
    if (names.length < (schema.minProperties ?? 0)) {
      add(budget, result, place, 'array_min_properties', `Must have at least ${schema.minProperties} properties`);
    }
    if (names.length > (schema.maxProperties ?? Infinity)) {
      add(budget, result, place, 'array_max_properties', `Must have at most ${schema.maxProperties} properties`);
    }
    for (const name of schema.required) {
      if (Object.hasOwn(json, name)) result.score += 1;
      else add(budget, result, place, 'required', `${name} is required`);
    }
    if (schema.patternProperties.length > 0 || schema.additionalProperties !== undefined) {
      for (const name of names.sort(compareTexts)) other(schema, name, json[name] ?? null, result, place, depth);
    }
    if (schema.propertyNames !== undefined) {
      for (const name of names.sort(compareTexts)) {
        const judged = judge(schema.propertyNames, name, place, depth);
        if (judged.findings.length === 0) continue;
        add(budget, result, place, 'invalid_property_name', `Property name of "${name}" does not match`);
        merge(budget, result, judged);
      }
    }
    result.score += 1;
  }

  /** A member under a pattern, or one that is additional. */
  function other(
    schema: SchemaNode,
    name: string,
    value: Value,
    result: Result,
    place: Place | undefined,
    depth: number,
  ): void {
    let isMatched = false;
    for (const [pattern, each] of schema.patternProperties) {
      if (!matches(budget, pattern, name)) continue;
      isMatched = true;
      merge(budget, result, judge(each, value, { name, outer: place }, depth));
    }
    if (isMatched) result.score += 1;
    if (isMatched || schema.properties.has(name)) return;
    const { additionalProperties } = schema;
    if (additionalProperties === false) {
      add(budget, result, place, 'additional_property_not_allowed', `Additional property ${name} is not allowed`);
    } else if (typeof additionalProperties === 'object') {
      merge(budget, result, judge(additionalProperties, value, { name, outer: place }, depth));
    }
  }

  return { apply };
}

function isMap(json: Value): json is PlainObject {
  return typeof json === 'object' && json !== null && !isArray(json) && !isNumber(json);
}

function typeOf(json: Value): SchemaType {
  if (json === null) return 'null';
  if (typeof json === 'boolean') return 'boolean';
  if (typeof json === 'string') return 'string';
  if (isNumber(json)) return isWhole(json) ? 'integer' : 'number';
  return isArray(json) ? 'array' : 'object';
}

function isOfType({ types }: SchemaNode, type: SchemaType): boolean {
  return types.length === 0 || types.includes(type) || (type === 'integer' && types.includes('number'));
}
