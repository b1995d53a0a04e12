import type { Regex } from '../../regex/regex.ts';
import { compareNumbers, isNumber, numberText, toDouble } from '../values/number.ts';
import { isArray, memberOf } from '../values/object.ts';
import { compareTexts } from '../values/order.ts';
import { shortestText } from '../values/shortest-text.ts';
import type { NumberValue, PlainObject, Value } from '../values/value.ts';
import { FORMATS } from './formats.ts';
import { asJson, normalJson } from './json-document.ts';
import { isMultiple, isWhole } from './multiples.ts';
import type { Budget, SchemaNode, SchemaType } from './schema-node.ts';

/** One thing that is wrong with a document, in gojsonschema's words. */
export interface SchemaFinding {
  readonly type: string;
  /** Where: names and places with full stops between them, `(Root)` for the document. */
  readonly field: string;
  readonly description: string;
}

/** Schemas and their references applied within each other. */
const DEEPEST = 1_500;

/** Judges a document; what is right gives no findings. Charged by the schemas that are applied and the findings. */
export function validate(schema: SchemaNode, document: Value, budget: Budget): readonly SchemaFinding[] {
  const result: Result = { findings: [], score: 0 };
  createValidator(budget).apply(schema, document, result, undefined, 0);
  return result.findings;
}

interface Result {
  readonly findings: SchemaFinding[];
  /** How well a schema fits: of those that do not, the best one tells why. */
  score: number;
}

interface Place {
  readonly name: string;
  readonly outer: Place | undefined;
}

function fieldOf(place: Place | undefined): string {
  const names: string[] = [];
  for (let each = place; each !== undefined; each = each.outer) names.push(each.name);
  return names.length === 0 ? '(Root)' : names.reverse().join('.');
}

interface Validator {
  apply(schema: SchemaNode, value: Value, result: Result, place: Place | undefined, depth: number): void;
}

function createValidator(budget: Budget): Validator {
  function add(result: Result, place: Place | undefined, type: string, description: string): void {
    budget.charge(20);
    const field = fieldOf(place);
    result.findings.push({ type, field, description: description.replace('{field}', () => field) });
    result.score -= 2;
  }

  function merge(result: Result, other: Result): void {
    for (const finding of other.findings) result.findings.push(finding);
    result.score += other.score;
  }

  function judge(schema: SchemaNode, value: Value, place: Place | undefined, depth: number): Result {
    const result: Result = { findings: [], score: 0 };
    apply(schema, value, result, place, depth + 1);
    return result;
  }

  function apply(schema: SchemaNode, value: Value, result: Result, place: Place | undefined, depth: number): void {
    budget.charge(20);
    if (depth > DEEPEST) throw new RangeError('a JSON schema refers to itself too deep');
    if (schema.pass !== undefined) {
      if (!schema.pass) add(result, place, 'false', 'False always fails validation');
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
      add(result, place, 'invalid_type', `Invalid type. Expected: ${expected}, given: ${type}`);
      return;
    }
    combine(schema, json, result, place, depth);
    if (isNumber(json)) number(schema, json, result, place);
    if (isArray(json)) array(schema, json, result, place, depth);
    if (isMap(json)) object(schema, json, result, place, depth);
    common(schema, json, result, place);
    if (typeof json === 'string') text(schema, json, result, place);
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
        add(result, place, 'number_any_of', 'Must validate at least one schema (anyOf)');
        merge(result, best);
      }
    }
    if (schema.oneOf.length > 0) oneOf(schema.oneOf, json, result, place, depth);
    if (schema.allOf.length > 0) {
      let right = 0;
      for (const each of schema.allOf) {
        const judged = judge(each, json, place, depth);
        if (judged.findings.length === 0) right += 1;
        merge(result, judged);
      }
      if (right < schema.allOf.length) add(result, place, 'number_all_of', 'Must validate all the schemas (allOf)');
    }
    if (schema.not !== undefined && judge(schema.not, json, place, depth).findings.length === 0) {
      add(result, place, 'number_not', 'Must not validate the schema (not)');
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
    add(result, place, 'number_one_of', 'Must validate one and only one schema (oneOf)');
    if (right === 0 && best !== undefined) merge(result, best);
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
        add(result, place, 'missing_dependency', `Has a dependency on ${other}`);
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
    if (holds) add(result, place, 'condition_then', 'Must validate "then" as "if" was valid');
    else add(result, place, 'condition_else', 'Must validate "else" as "if" was not valid');
    merge(result, judged);
  }

  function common(schema: SchemaNode, json: Value, result: Result, place: Place | undefined): void {
    if (schema.constant !== undefined && normalJson(json, budget) !== schema.constant) {
      add(result, place, 'const', `{field} does not match: ${schema.constant}`);
    }
    if (schema.allowed !== undefined && !schema.allowed.includes(normalJson(json, budget))) {
      add(result, place, 'enum', `{field} must be one of the following: ${schema.allowed.join(', ')}`);
    }
    if (schema.format !== undefined && typeof json === 'string') {
      budget.charge(json.length);
      const isRight = FORMATS.get(schema.format)?.(json) ?? true;
      if (!isRight) add(result, place, 'format', `Does not match format '${schema.format}'`);
    }
    result.score += 1;
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
      add(result, place, 'array_no_additional_items', 'No additional items allowed on array');
    }
    const others = placed > 0 && typeof additionalItems === 'object' ? additionalItems : schema.items;
    for (const [at, item] of items.entries()) {
      const each = placedItems[at] ?? others;
      if (each !== undefined) merge(result, judge(each, item, { name: String(at), outer: place }, depth));
    }
    if (items.length < (schema.minItems ?? 0)) {
      add(result, place, 'array_min_items', `Array must have at least ${schema.minItems} items`);
    }
    if (items.length > (schema.maxItems ?? Infinity)) {
      add(result, place, 'array_max_items', `Array must have at most ${schema.maxItems} items`);
    }
    if (schema.uniqueItems) unique(items, result, place);
    if (schema.contains !== undefined) contains(schema.contains, items, result, place, depth);
    result.score += 1;
  }

  function unique(items: readonly Value[], result: Result, place: Place | undefined): void {
    const seen = new Map<string, number>();
    for (const [at, item] of items.entries()) {
      const name = normalJson(item, budget);
      const before = seen.get(name);
      if (before !== undefined) add(result, place, 'unique', `array items[${before},${at}] must be unique`);
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
    add(result, place, 'contains', 'At least one of the items must match');
    if (best !== undefined) merge(result, best);
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
      add(result, place, 'array_min_properties', `Must have at least ${schema.minProperties} properties`);
    }
    if (names.length > (schema.maxProperties ?? Infinity)) {
      add(result, place, 'array_max_properties', `Must have at most ${schema.maxProperties} properties`);
    }
    for (const name of schema.required) {
      if (Object.hasOwn(json, name)) result.score += 1;
      else add(result, place, 'required', `${name} is required`);
    }
    if (schema.patternProperties.length > 0 || schema.additionalProperties !== undefined) {
      for (const name of names.sort(compareTexts)) other(schema, name, json[name] ?? null, result, place, depth);
    }
    if (schema.propertyNames !== undefined) {
      for (const name of names.sort(compareTexts)) {
        const judged = judge(schema.propertyNames, name, place, depth);
        if (judged.findings.length === 0) continue;
        add(result, place, 'invalid_property_name', `Property name of "${name}" does not match`);
        merge(result, judged);
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
      if (!matches(pattern, name)) continue;
      isMatched = true;
      merge(result, judge(each, value, { name, outer: place }, depth));
    }
    if (isMatched) result.score += 1;
    if (isMatched || schema.properties.has(name)) return;
    const { additionalProperties } = schema;
    if (additionalProperties === false) {
      add(result, place, 'additional_property_not_allowed', `Additional property ${name} is not allowed`);
    } else if (typeof additionalProperties === 'object') {
      merge(result, judge(additionalProperties, value, { name, outer: place }, depth));
    }
  }

  function text(schema: SchemaNode, json: string, result: Result, place: Place | undefined): void {
    if (schema.minLength !== undefined || schema.maxLength !== undefined) {
      budget.charge(json.length >> 2);
      let length = 0;
      for (const _character of json) length += 1;
      if (length < (schema.minLength ?? 0)) {
        add(result, place, 'string_gte', `String length must be greater than or equal to ${schema.minLength}`);
      }
      if (length > (schema.maxLength ?? Infinity)) {
        add(result, place, 'string_lte', `String length must be less than or equal to ${schema.maxLength}`);
      }
    }
    if (schema.pattern !== undefined && !matches(schema.pattern, json)) {
      add(result, place, 'pattern', `Does not match pattern '${schema.pattern.pattern}'`);
    }
    result.score += 1;
  }

  function matches(pattern: Regex, json: string): boolean {
    budget.charge(10 + ((json.length * pattern.weight) >> 3));
    return pattern.test(json);
  }

  function number(schema: SchemaNode, json: NumberValue, result: Result, place: Place | undefined): void {
    const { multipleOf, maximum, exclusiveMaximum, minimum, exclusiveMinimum } = schema;
    if (multipleOf !== undefined && !isMultiple(json, multipleOf, budget)) {
      add(result, place, 'multiple_of', `Must be a multiple of ${limitText(multipleOf)}`);
    }
    if (maximum !== undefined && compareNumbers(json, maximum) > 0) {
      add(result, place, 'number_lte', `Must be less than or equal to ${limitText(maximum)}`);
    }
    if (exclusiveMaximum !== undefined && compareNumbers(json, exclusiveMaximum) >= 0) {
      add(result, place, 'number_lt', `Must be less than ${limitText(exclusiveMaximum)}`);
    }
    if (minimum !== undefined && compareNumbers(json, minimum) < 0) {
      add(result, place, 'number_gte', `Must be greater than or equal to ${limitText(minimum)}`);
    }
    if (exclusiveMinimum !== undefined && compareNumbers(json, exclusiveMinimum) <= 0) {
      add(result, place, 'number_gt', `Must be greater than ${limitText(exclusiveMinimum)}`);
    }
    result.score += 1;
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

function limitText(limit: NumberValue): string {
  const double = toDouble(limit);
  return Number.isFinite(double) ? shortestText(double) : numberText(limit);
}
