import { compileSchema } from '../json-schema/compile.ts';
import { SchemaError, type SchemaNode } from '../json-schema/schema-node.ts';
import { validate } from '../json-schema/validate.ts';
import { parseJson } from '../values/json.ts';
import { isArray, isObject } from '../values/object.ts';
import type { Value } from '../values/value.ts';
import { type BuiltinContext, builtinFailure } from './builtin.ts';
import { GenerationCache } from './generation-cache.ts';

/** Schemas that are texts: so many are kept, of this length at most. */
const MOST = 32;
const LONGEST = 100_000;

const ofTexts = new GenerationCache<SchemaNode>(MOST, LONGEST);
/** Schemas that a policy or its data have are the same objects in each decision. */
const ofObjects = new WeakMap<object, SchemaNode>();

/** OPA's `json.match_schema`: whether a document, or the text of one, fits, and what is wrong with it. */
export function matchSchema(context: BuiltinContext, document: Value, schema: Value): Value {
  try {
    const value = documentOf(context, document);
    const findings = validate(schemaOf(context, schema), value, context);
    return [
      findings.length === 0,
      findings.map(({ type, field, description }) => ({
        desc: description,
        error: `${field}: ${description}`,
        field,
        type,
      })),
    ];
  } catch (error) {
    if (error instanceof SchemaError) throw builtinFailure(context, error.message);
    throw error;
  }
}

/** OPA's `json.verify_schema`: whether a schema is one, and else what is wrong with it. */
export function verifySchema(context: BuiltinContext, schema: Value): Value {
  try {
    schemaOf(context, schema);
    return [true, null];
  } catch (error) {
    if (error instanceof SchemaError) return [false, `jsonschema: ${error.message}`];
    throw error;
  }
}

function schemaOf(context: BuiltinContext, schema: Value): SchemaNode {
  const known = typeof schema === 'string' ? ofTexts.get(schema) : isKey(schema) ? ofObjects.get(schema) : undefined;
  if (known !== undefined) return known;
  const compiled = compileSchema(documentOf(context, schema), context);
  if (typeof schema === 'string') ofTexts.set(schema, compiled);
  else if (isKey(schema)) ofObjects.set(schema, compiled);
  return compiled;
}

function isKey(value: Value): value is Exclude<Value, null | boolean | number | string> {
  return typeof value === 'object' && value !== null;
}

function documentOf(context: BuiltinContext, value: Value): Value {
  if (typeof value === 'string') {
    context.charge(value.length >> 2);
    const document = parseJson(value);
    if (document === undefined) throw new SchemaError('invalid JSON string');
    return document;
  }
  if (isObject(value) || isArray(value)) return value;
  throw new SchemaError('wrong type, expected string or object');
}
