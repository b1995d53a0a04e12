import { createRequire } from 'node:module';
import type { Ajv2020, ValidateFunction } from 'ajv/dist/2020.js';
import { isObject } from '../decision/json.ts';
import { compileRegex } from '../regex/regex.ts';
import { CatalogError, type CatalogFault } from './catalog-error.ts';
import type { JsonDocument } from './json-body.ts';
import { malformed, type Refusal } from './refusal.ts';
import { schemaRuleFaults } from './schema-rules.ts';

/** Refuses a body that breaks a schema; the cause names the place in the schema and nothing of the body. */
export type BodySchema = (document: JsonDocument) => Refusal | undefined;

/**
 * Compiles `catalog.schemas`: JSON Schemas (2020-12) by name, strict, with no reference to the outside and regular
 * expressions of RE2 that take linear time. Throws {@link CatalogError} with every fault.
 */
export function compileBodySchemas(catalog: unknown): ReadonlyMap<string, BodySchema> {
  const compiled = new Map<string, BodySchema>();
  const schemas = isObject(catalog) && Object.hasOwn(catalog, 'schemas') ? catalog['schemas'] : undefined;
  if (schemas === undefined) return compiled;
  if (!isObject(schemas) || Object.keys(schemas).length > MAX_SCHEMAS) {
    throw new CatalogError([
      { path: 'catalog.schemas', message: `is not an object of at most ${MAX_SCHEMAS} schemas` },
    ]);
  }
  const faults: CatalogFault[] = [];
  const ajv = createAjv();
  for (const [name, schema] of Object.entries(schemas)) {
    const path = `catalog.schemas.${name}`;
    const broken = NAME.test(name) ? schemaRuleFaults(schema, path) : [{ path, message: NAME_RULE }];
    faults.push(...broken);
    if (broken.length > 0) continue;
    try {
      // The rules passed it, so it is an object or a boolean.
      compiled.set(name, toBodySchema(name, ajv.compile(schema as object | boolean)));
    } catch (error) {
      faults.push({ path, message: `does not compile: ${error instanceof Error ? error.message : String(error)}` });
    }
  }
  if (faults.length > 0) throw new CatalogError(faults);
  return compiled;
}

const MAX_SCHEMAS = 256;
const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;
const NAME_RULE = 'is not a name of letters, digits, `_` and `-`';

/** Loaded where there are schemas alone: it is a hundred files. */
function createAjv(): Ajv2020 {
  // The module that its types describe.
  const ajvModule = createRequire(import.meta.url)('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js');
  const ajv = new ajvModule.Ajv2020({
    strict: true,
    allowUnionTypes: true,
    // `required: ["constructor"]` must not be content with what every object inherits.
    ownProperties: true,
    messages: false,
    logger: false,
    code: { regExp: linearRegExp },
  });
  // Its own compares every pair, and notes texts as members of a plain object.
  ajv.removeKeyword('uniqueItems');
  ajv.addKeyword({ keyword: 'uniqueItems', type: 'array', schemaType: 'boolean', validate: areUnique, errors: false });
  return ajv;
}

/** ajv writes `code` into the source of standalone validators only, which are not made here. */
const linearRegExp = Object.assign(
  (pattern: string) => {
    const compiled = compileRegex(pattern);
    // INVARIANT: ajv keeps patterns by this text, and takes those of one text for one pattern.
    return { test: (text: string) => compiled.test(text), toString: () => `/${pattern}/` };
  },
  { code: 'linearRegExp' },
);

function areUnique(unique: boolean, items: readonly unknown[]): boolean {
  return !unique || new Set(items.map(canonicalText)).size === items.length;
}

/** One text per JSON value, members sorted by name. */
function canonicalText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalText).join()}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const members = Object.keys(value).sort();
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonicalText(value[name])}`).join()}}`;
}

function toBodySchema(name: string, validate: ValidateFunction): BodySchema {
  return (document) => {
    if (validate(document.value())) return undefined;
    return malformed(`the JSON body breaks schema \`${name}\` at \`${validate.errors?.[0]?.schemaPath ?? '#'}\``);
  };
}
