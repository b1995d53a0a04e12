import { isArray, memberOf } from '../values/object.ts';
import type { PlainObject, Value } from '../values/value.ts';
import { asJson } from './json-document.ts';
import { SchemaError } from './schema-node.ts';

/** What relative references are relative to; no document has such a name. */
const NOWHERE = 'json-schema://nowhere/';

/** Where a schema stands: what its references are relative to. */
export interface Scope {
  readonly base: string;
}

export const ROOT_SCOPE: Scope = { base: NOWHERE };

export interface References {
  /** The scope within a schema, which may give itself a name. */
  scopeOf(schema: PlainObject, outer: Scope): Scope;
  /** What a reference from a scope names, and a name that all references to it share. Throws a `SchemaError`. */
  find(reference: string, from: Scope): { readonly name: string; readonly document: Value; readonly scope: Scope };
}

/** Finds all that a document names itself. Nothing is ever fetched. */
export function createReferences(root: Value): References {
  const documents = new Map<string, { readonly document: Value; readonly scope: Scope }>();

  function scopeOf(schema: PlainObject, outer: Scope): Scope {
    const id = memberOf(schema, 'id') ?? memberOf(schema, '$id');
    const base = typeof id === 'string' ? resolve(id, outer) : undefined;
    return base === undefined ? outer : { base };
  }

  function collect(value: Value, outer: Scope): void {
    const json = asJson(value);
    if (isArray(json)) {
      for (const item of json) collect(item, outer);
      return;
    }
    if (typeof json !== 'object' || json === null || !isPlain(json)) return;
    const scope = scopeOf(json, outer);
    if (scope !== outer) {
      const name = withoutEmptyFragment(scope.base);
      if (documents.has(name)) throw new SchemaError(`Reference already exists: "${name}"`);
      documents.set(name, { document: json, scope });
    }
    for (const [key, member] of Object.entries(json)) {
      if (key === 'const' || key === 'enum') continue;
      const inner = NAMED_SCHEMAS.has(key) ? asJson(member) : undefined;
      if (inner === undefined) collect(member, scope);
      else if (typeof inner === 'object' && inner !== null && !isArray(inner) && isPlain(inner)) {
        for (const each of Object.values(inner)) collect(each, scope);
      }
    }
  }

  collect(root, ROOT_SCOPE);
  if (!documents.has(NOWHERE)) documents.set(NOWHERE, { document: root, scope: ROOT_SCOPE });

  return {
    scopeOf,
    find(reference, from) {
      const href = resolve(reference, from);
      if (href === undefined) throw new SchemaError(`Reference ${reference} must be canonical`);
      const name = withoutEmptyFragment(href);
      const exact = documents.get(name);
      if (exact !== undefined) return { name, ...exact };
      const mark = name.indexOf('#');
      const found = mark < 0 ? undefined : documents.get(name.slice(0, mark));
      if (found === undefined) throw new SchemaError(`remote reference loading disabled: ${reference}`);
      return { name, document: follow(found.document, decode(name.slice(mark + 1))), scope: found.scope };
    },
  };
}

/** In these each member is a schema, whatever it is called. */
const NAMED_SCHEMAS: ReadonlySet<string> = new Set(['properties', 'dependencies', 'patternProperties']);

function isPlain(value: object): value is PlainObject {
  return Object.getPrototypeOf(value) === Object.prototype;
}

function resolve(reference: string, { base }: Scope): string | undefined {
  const mark = base.indexOf('#');
  return URL.parse(reference, mark < 0 ? base : base.slice(0, mark))?.href;
}

function withoutEmptyFragment(href: string): string {
  return href.endsWith('#') ? href.slice(0, -1) : href;
}

function decode(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    throw new SchemaError(`invalid URL escape in "${fragment}"`);
  }
}

/** A JSON pointer (RFC 6901). */
function follow(document: Value, pointer: string): Value {
  if (pointer === '') return document;
  if (!pointer.startsWith('/')) throw new SchemaError(`JSON pointer must be empty or start with a "/": ${pointer}`);
  let found = document;
  for (const part of pointer.slice(1).split('/')) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    const json = asJson(found);
    const child = isArray(json)
      ? /^(?:0|[1-9][0-9]{0,8})$/.test(key)
        ? json[Number(key)]
        : undefined
      : typeof json === 'object' && json !== null && isPlain(json)
        ? memberOf(json, key)
        : undefined;
    if (child === undefined) throw new SchemaError(`Object has no key '${key}'`);
    found = child;
  }
  return found;
}
