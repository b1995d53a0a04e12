import type { Regex } from '../../regex/regex.ts';
import { compareNumbers, numberText, toDouble } from '../values/number.ts';
import { shortestText } from '../values/shortest-text.ts';
import type { NumberValue, Value } from '../values/value.ts';
import { add, fieldOf, type Place, type Result } from './findings.ts';
import { FORMATS } from './formats.ts';
import { normalJson } from './json-document.ts';
import { isMultiple } from './multiples.ts';
import type { Budget, SchemaNode } from './schema-node.ts';

/** What counts for values of every type. */
export function judgeAny(
  budget: Budget,
  schema: SchemaNode,
  json: Value,
  result: Result,
  place: Place | undefined,
): void {
  if (schema.constant !== undefined && normalJson(json, budget) !== schema.constant) {
    add(budget, result, place, 'const', `${fieldOf(place)} does not match: ${schema.constant}`);
  }
  if (schema.allowed !== undefined) budget.charge(schema.allowed.length >> 2);
  if (schema.allowed !== undefined && !schema.allowed.includes(normalJson(json, budget))) {
    const allowed = schema.allowed.join(', ');
    budget.charge(allowed.length >> 2);
    add(budget, result, place, 'enum', `${fieldOf(place)} must be one of the following: ${allowed}`);
  }
  if (schema.format !== undefined && typeof json === 'string') {
    budget.charge(json.length);
    const isRight = FORMATS.get(schema.format)?.(json) ?? true;
    if (!isRight) add(budget, result, place, 'format', `Does not match format '${schema.format}'`);
  }
  result.score += 1;
}

/** What counts for texts. */
export function judgeText(
  budget: Budget,
  schema: SchemaNode,
  json: string,
  result: Result,
  place: Place | undefined,
): void {
  if (schema.minLength !== undefined || schema.maxLength !== undefined) {
    budget.charge(json.length >> 2);
    let length = 0;
    for (const _character of json) length += 1;
    if (length < (schema.minLength ?? 0)) {
      add(budget, result, place, 'string_gte', `String length must be greater than or equal to ${schema.minLength}`);
    }
    if (length > (schema.maxLength ?? Infinity)) {
      add(budget, result, place, 'string_lte', `String length must be less than or equal to ${schema.maxLength}`);
    }
  }
  if (schema.pattern !== undefined && !matches(budget, schema.pattern, json)) {
    add(budget, result, place, 'pattern', `Does not match pattern '${schema.pattern.pattern}'`);
  }
  result.score += 1;
}

/** Whether a pattern is found in a text. */
export function matches(budget: Budget, pattern: Regex, json: string): boolean {
  budget.charge(10 + ((json.length * pattern.weight) >> 3));
  return pattern.test(json);
}

/** What counts for numbers, exactly. */
export function judgeNumber(
  budget: Budget,
  schema: SchemaNode,
  json: NumberValue,
  result: Result,
  place: Place | undefined,
): void {
  const { multipleOf, maximum, exclusiveMaximum, minimum, exclusiveMinimum } = schema;
  if (multipleOf !== undefined && !isMultiple(json, multipleOf, budget)) {
    add(budget, result, place, 'multiple_of', `Must be a multiple of ${limitText(multipleOf)}`);
  }
  if (maximum !== undefined && compareNumbers(json, maximum) > 0) {
    add(budget, result, place, 'number_lte', `Must be less than or equal to ${limitText(maximum)}`);
  }
  if (exclusiveMaximum !== undefined && compareNumbers(json, exclusiveMaximum) >= 0) {
    add(budget, result, place, 'number_lt', `Must be less than ${limitText(exclusiveMaximum)}`);
  }
  if (minimum !== undefined && compareNumbers(json, minimum) < 0) {
    add(budget, result, place, 'number_gte', `Must be greater than or equal to ${limitText(minimum)}`);
  }
  if (exclusiveMinimum !== undefined && compareNumbers(json, exclusiveMinimum) <= 0) {
    add(budget, result, place, 'number_gt', `Must be greater than ${limitText(exclusiveMinimum)}`);
  }
  result.score += 1;
}

function limitText(limit: NumberValue): string {
  const double = toDouble(limit);
  return Number.isFinite(double) ? shortestText(double) : numberText(limit);
}
