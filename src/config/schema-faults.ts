import type { ErrorObject } from 'ajv';

/** Where and what of one schema error, in words for whoever wrote the file. `undefined`: another error says it. */
export function schemaFault(
  error: ErrorObject,
): { readonly path: readonly (string | number)[]; readonly message: string } | undefined {
  const path = pointerPath(error.instancePath);
  const params = error.params as { readonly [name: string]: unknown };
  switch (error.keyword) {
    case 'additionalProperties':
    case 'unevaluatedProperties': {
      const key = String(params['additionalProperty'] ?? params['unevaluatedProperty']);
      const known = Object.keys((error.parentSchema?.['properties'] ?? {}) as object);
      return { path: [...path, key], message: `is not a key that is known here${suggestion(key, known)}` };
    }
    case 'required':
      return { path: [...path, String(params['missingProperty'])], message: 'is compulsory' };
    case 'type':
      return { path, message: `is not of type ${[params['type']].flat().join(' or ')}` };
    case 'enum':
      return { path, message: `is none of ${(params['allowedValues'] as unknown[]).map(quoted).join(', ')}` };
    case 'const':
      return { path, message: `is not ${quoted(params['allowedValue'])}` };
    case 'pattern':
      return { path, message: `does not match the pattern ${String(params['pattern'])}` };
    case 'if':
    case 'oneOf':
    case 'anyOf':
      return { path, message: describedChoice(error) };
    default:
      return { path, message: error.message ?? `breaks the rule \`${error.keyword}\`` };
  }
}

/** `a.b[0].c`, as people write it. */
export function pathText(path: readonly (string | number)[]): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    return text === '' ? step : `${text}.${step}`;
  }, '');
}

/** The reverse of {@link pathText}, for faults that families name by text. */
export function textPath(text: string): readonly (string | number)[] {
  return [...text.matchAll(/([^.[\]]+)|\[(\d+)\]/g)].map(([, name, index]) => name ?? Number(index));
}

function pointerPath(pointer: string): readonly (string | number)[] {
  return pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((step) => (/^\d+$/.test(step) ? Number(step) : step));
}

function describedChoice(error: ErrorObject): string {
  const description = error.parentSchema?.['description'];
  return typeof description === 'string'
    ? `is not one of the forms allowed here (${description})`
    : 'has no known form';
}

function quoted(value: unknown): string {
  return `\`${String(value)}\``;
}

function suggestion(key: string, known: readonly string[]): string {
  const near = known.filter((candidate) => distance(key, candidate) <= 2);
  if (near.length > 0) return `; did you mean ${near.map(quoted).join(' or ')}`;
  return known.length === 0 ? '' : `; known are ${known.map(quoted).join(', ')}`;
}

/** Levenshtein distance; both texts are short keys. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitution));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
