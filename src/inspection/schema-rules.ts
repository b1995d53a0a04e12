import { isObject } from '../decision/json.ts';
import type { CatalogFault } from './catalog-error.ts';

/**
 * Names what in a JSON Schema (2020-12) could make one body cost more than its bytes and the schema's size together:
 * patterns and comparisons without bounds, references that leave the schema or come back to themselves, and keywords
 * that are not on the list.
 */
export function schemaRuleFaults(schema: unknown, path: string): readonly CatalogFault[] {
  const faults: CatalogFault[] = [];
  const definitions = new Map<string, unknown>();
  if (isObject(schema) && isObject(schema['$defs'])) {
    for (const [name, definition] of Object.entries(schema['$defs'])) definitions.set(`#/$defs/${name}`, definition);
  }
  checkSchema(schema, path, definitions, 0, faults);
  if (faults.length > 0) return faults;
  const size = createSizes(definitions)(schema);
  if (size === undefined) return [{ path, message: 'has a `$ref` that comes back to itself' }];
  return size <= MAX_SUBSCHEMAS
    ? []
    : [{ path, message: `comes to more than ${MAX_SUBSCHEMAS} schemas with every \`$ref\` written out` }];
}

const MAX_SUBSCHEMAS = 4096;
const MAX_DEPTH = 32;
const MAX_PATTERNED_LENGTH = 65_536;
const MAX_UNIQUE_ITEMS = 1000;

const ONE = ['not', 'if', 'then', 'else', 'items', 'contains', 'additionalProperties', 'propertyNames'];
const LISTS = ['allOf', 'anyOf', 'oneOf', 'prefixItems'];
const MAPS = ['properties', '$defs', 'dependentSchemas'];
const PLAIN = [
  ...['$ref', '$comment', 'title', 'description', 'default', 'examples', 'deprecated', 'type', 'enum', 'const'],
  ...['multipleOf', 'maximum', 'exclusiveMaximum', 'minimum', 'exclusiveMinimum', 'maxLength', 'minLength', 'pattern'],
  ...['maxItems', 'minItems', 'uniqueItems', 'maxContains', 'minContains'],
  ...['maxProperties', 'minProperties', 'required', 'dependentRequired'],
];
const KEYWORDS = new Set([...ONE, ...LISTS, ...MAPS, ...PLAIN]);

function checkSchema(
  schema: unknown,
  path: string,
  definitions: ReadonlyMap<string, unknown>,
  depth: number,
  faults: CatalogFault[],
): void {
  if (typeof schema === 'boolean') return;
  if (!isObject(schema)) {
    faults.push({ path, message: 'is no JSON Schema' });
    return;
  }
  if (depth > MAX_DEPTH) {
    faults.push({ path, message: `is nested more than ${MAX_DEPTH} deep` });
    return;
  }
  for (const keyword of Object.keys(schema)) {
    if (!KEYWORDS.has(keyword))
      faults.push({ path: `${path}.${keyword}`, message: 'is no keyword that a schema here may use' });
    else if (keyword === '$defs' && depth > 0) faults.push({ path: `${path}.$defs`, message: 'stands below the top' });
  }
  checkBounds(schema, path, definitions, faults);
  for (const [step, child] of childrenOf(schema)) checkSchema(child, `${path}.${step}`, definitions, depth + 1, faults);
}

function checkBounds(
  schema: { readonly [keyword: string]: unknown },
  path: string,
  definitions: ReadonlyMap<string, unknown>,
  faults: CatalogFault[],
): void {
  const { $ref, pattern, maxLength, uniqueItems, maxItems } = schema;
  if ($ref !== undefined && !(typeof $ref === 'string' && definitions.has($ref))) {
    faults.push({ path: `${path}.$ref`, message: 'names nothing in the `$defs` of the same schema' });
  }
  if (pattern !== undefined && !isAtMost(maxLength, MAX_PATTERNED_LENGTH)) {
    faults.push({ path: `${path}.pattern`, message: `needs a \`maxLength\` of at most ${MAX_PATTERNED_LENGTH}` });
  }
  if (uniqueItems === true && !isAtMost(maxItems, MAX_UNIQUE_ITEMS)) {
    faults.push({ path: `${path}.uniqueItems`, message: `needs a \`maxItems\` of at most ${MAX_UNIQUE_ITEMS}` });
  }
  const constants = [schema['const'], ...(Array.isArray(schema['enum']) ? schema['enum'] : [])];
  if (constants.some((value) => typeof value === 'object' && value !== null)) {
    faults.push({ path, message: 'compares with an object or a list' });
  }
}

function isAtMost(value: unknown, most: number): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= most;
}

function childrenOf(schema: { readonly [keyword: string]: unknown }): readonly (readonly [string, unknown])[] {
  const children: (readonly [string, unknown])[] = [];
  for (const keyword of ONE) if (Object.hasOwn(schema, keyword)) children.push([keyword, schema[keyword]]);
  for (const keyword of LISTS) {
    const list = schema[keyword];
    if (Array.isArray(list)) children.push(...list.map((child, index) => [`${keyword}[${index}]`, child] as const));
  }
  for (const keyword of MAPS) {
    const map = schema[keyword];
    if (isObject(map))
      children.push(...Object.entries(map).map(([name, child]) => [`${keyword}.${name}`, child] as const));
  }
  return children;
}

/** How many schemas one comes to with its references written out; `undefined` when that never ends. */
function createSizes(definitions: ReadonlyMap<string, unknown>): (schema: unknown) => number | undefined {
  const sizes = new Map<string, number | undefined>();

  function sizeOf(schema: unknown): number | undefined {
    if (!isObject(schema)) return 1;
    let size: number | undefined = 1;
    const { $ref } = schema;
    if (typeof $ref === 'string') size = plus(size, sizeOfDefinition($ref));
    for (const [step, child] of childrenOf(schema)) if (!step.startsWith('$defs.')) size = plus(size, sizeOf(child));
    return size;
  }

  function sizeOfDefinition(ref: string): number | undefined {
    if (sizes.has(ref)) return sizes.get(ref);
    // While it is being measured it has no size: whoever asks meanwhile is part of it.
    sizes.set(ref, undefined);
    const size = sizeOf(definitions.get(ref));
    sizes.set(ref, size);
    return size;
  }

  return sizeOf;
}

function plus(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : one + other;
}
