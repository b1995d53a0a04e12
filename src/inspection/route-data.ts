import { isObject } from '../decision/json.ts';
import { isDotSegment } from './canonical-path.ts';
import type { CatalogFault } from './catalog-error.ts';
import {
  choice,
  isNatural,
  parseRequirements,
  REQUIREMENT_KEYS,
  type RouteRequirements,
} from './route-requirements.ts';

/** One entry of `catalog.routes`, checked and with its defaults filled in. */
export interface RouteData extends RouteRequirements {
  readonly name: string;
  readonly pattern: readonly PatternSegment[];
  readonly methods: ReadonlySet<string>;
  /** Values of the path parameter `operation`, each with its methods. */
  readonly operations?: ReadonlyMap<string, ReadonlySet<string>>;
  readonly kind: 'ordinary' | 'preflight';
  readonly operation?: string;
  readonly tenant?: 'path' | 'token';
  readonly model?: 'path' | 'body';
  /** `metadata`: the gateway's own reading of a body that it does not send, or the body, or both. */
  readonly body: 'json' | 'none' | 'metadata';
  readonly maxBytes?: number;
  readonly limits: readonly string[];
  readonly upgrade: boolean;
}

export type PatternSegment =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'parameter'; readonly name: string };

/** Parses one route; `undefined` when it adds faults. */
export function parseRoute(value: unknown, path: string, faults: CatalogFault[]): RouteData | undefined {
  const before = faults.length;
  const report = (key: string, message: string): void => {
    faults.push({ path: key === '' ? path : `${path}.${key}`, message });
  };
  if (!isObject(value)) {
    report('', 'is not an object');
    return undefined;
  }
  for (const key of Object.keys(value)) if (!KEYS.has(key)) report(key, 'is not a key of a route');
  const pattern = parsePattern(value['path'], report);
  const parameters = new Set(pattern.flatMap((segment) => (segment.kind === 'parameter' ? [segment.name] : [])));
  const methods = parseMethods(value['methods'], 'methods', report);
  const operations = parseOperations(value['operations'], methods, parameters, report);
  const source = (key: 'tenant' | 'model', other: string): string | undefined => {
    const found = choice(value[key], ['path', other], key, report);
    if (found === 'path' && !parameters.has(key)) report(key, `is \`path\` but the path has no \`{${key}}\``);
    if (found === other && parameters.has(key)) report(key, `is \`${other}\` but the path has a \`{${key}}\``);
    return found ?? (parameters.has(key) ? 'path' : undefined);
  };
  const tenant = source('tenant', 'token');
  const model = source('model', 'body');
  const body = choice(value['body'], ['json', 'none', 'metadata'], 'body', report) ?? 'none';
  const kind = choice(value['kind'], ['ordinary', 'preflight'], 'kind', report) ?? 'ordinary';
  const upgrade = value['upgrade'] ?? false;
  if (typeof upgrade !== 'boolean') report('upgrade', 'is neither true nor false');
  if (model === 'body' && body === 'none') report('model', 'is `body` but `body` is `none`');
  if (upgrade === true && body !== 'none')
    report('upgrade', `cannot be true with \`body: ${body}\`: that body is never seen`);
  const requirements = parseRequirements(value, body, kind, report);
  if (kind === 'preflight') checkPreflight(value, methods, body, upgrade === true, report);
  const name = matching(value['name'], NAME, 'name', report);
  const operation =
    value['operation'] === undefined ? undefined : matching(value['operation'], NAME, 'operation', report);
  if (operation !== undefined && parameters.has('operation')) {
    report('operation', 'is given but the path has an `{operation}`');
  }
  const maxBytes = value['max_bytes'];
  if (maxBytes !== undefined && !isNatural(maxBytes)) report('max_bytes', 'is not an integer from 0 to 2^53 - 1');
  const limits = parseLimits(value['limits'], report);
  if (faults.length > before) return undefined;
  return {
    name,
    pattern,
    methods,
    kind,
    body,
    ...requirements,
    limits,
    upgrade: upgrade === true,
    ...(operations === undefined ? {} : { operations }),
    ...(operation === undefined ? {} : { operation }),
    ...(tenant === undefined ? {} : { tenant: tenant === 'path' ? 'path' : 'token' }),
    ...(model === undefined ? {} : { model: model === 'path' ? 'path' : 'body' }),
    ...(isNatural(maxBytes) ? { maxBytes } : {}),
  };
}

type Report = (key: string, message: string) => void;

const KEYS = new Set([
  'name',
  'path',
  'methods',
  'operations',
  'kind',
  'operation',
  'tenant',
  'model',
  'body',
  'max_bytes',
  'limits',
  'upgrade',
  ...REQUIREMENT_KEYS,
]);

const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;
const METHOD = /^[A-Z]+(?:-[A-Z]+)*$/;
const LIMIT = /^[A-Za-z][A-Za-z0-9_.:-]{0,127}$/;
const PARAMETER = /^\{([a-z][a-z0-9_]{0,31})\}$/;
/** Characters that no client needs to encode in a path, so that a literal has one spelling. */
const LITERAL = /^[A-Za-z0-9._~!$&'()*+,=:@-]{1,128}$/;
const MAX_SEGMENTS = 32;

function parsePattern(value: unknown, report: Report): readonly PatternSegment[] {
  if (typeof value !== 'string' || !value.startsWith('/')) {
    report('path', 'is not a text that begins with `/`');
    return [];
  }
  const texts = value.slice(1).split('/');
  if (texts.length > MAX_SEGMENTS) report('path', `has more than ${MAX_SEGMENTS} segments`);
  const names = new Set<string>();
  return texts.map((text, index): PatternSegment => {
    const name = PARAMETER.exec(text)?.[1];
    if (name === undefined) {
      // An empty last segment declares the trailing slash.
      const trailing = text === '' && index === texts.length - 1;
      if (!trailing && !isLiteral(text)) report('path', `has the bad segment \`${text}\``);
      return { kind: 'literal', text };
    }
    if (names.has(name)) report('path', `names the parameter \`${name}\` twice`);
    names.add(name);
    return { kind: 'parameter', name };
  });
}

function isLiteral(text: string): boolean {
  return LITERAL.test(text) && !isDotSegment(text);
}

function parseMethods(value: unknown, key: string, report: Report): ReadonlySet<string> {
  if (!Array.isArray(value) || value.length === 0) {
    report(key, 'is not a list of methods');
    return new Set();
  }
  const methods = new Set<string>();
  for (const [index, method] of value.entries()) {
    if (typeof method !== 'string' || !METHOD.test(method)) report(`${key}[${index}]`, 'is not a method in upper case');
    else if (methods.has(method)) report(`${key}[${index}]`, 'names a method twice');
    else methods.add(method);
  }
  return methods;
}

function parseOperations(
  value: unknown,
  methods: ReadonlySet<string>,
  parameters: ReadonlySet<string>,
  report: Report,
): ReadonlyMap<string, ReadonlySet<string>> | undefined {
  if (value === undefined) return undefined;
  if (!isObject(value) || Object.keys(value).length === 0) {
    report('operations', 'is not an object of operations');
    return undefined;
  }
  if (!parameters.has('operation')) report('operations', 'is given but the path has no `{operation}`');
  const operations = new Map<string, ReadonlySet<string>>();
  for (const [name, list] of Object.entries(value)) {
    const key = `operations.${name}`;
    if (!isLiteral(name)) report(key, 'is not a plain path segment');
    const own = parseMethods(list, key, report);
    for (const method of own) if (!methods.has(method)) report(key, `names \`${method}\`, which \`methods\` lacks`);
    operations.set(name, own);
  }
  return operations;
}

/** A preflight carries no body and no credential (Fetch standard, CORS protocol): it can be nothing but itself. */
function checkPreflight(
  value: { readonly [key: string]: unknown },
  methods: ReadonlySet<string>,
  body: string,
  upgrade: boolean,
  report: Report,
): void {
  if (methods.size !== 1 || !methods.has('OPTIONS')) report('methods', 'of a preflight route is not `OPTIONS` alone');
  if (body !== 'none') report('body', 'of a preflight route is not `none`');
  if (upgrade) report('upgrade', 'of a preflight route is true');
  if (value['operation'] !== undefined && value['operation'] !== 'preflight') {
    report('operation', 'of a preflight route is not `preflight`');
  }
}

function parseLimits(value: unknown, report: Report): readonly string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) {
    report('limits', 'is not a list of names');
    return [];
  }
  const limits = new Set<string>();
  for (const [index, name] of value.entries()) {
    if (typeof name !== 'string' || !LIMIT.test(name)) report(`limits[${index}]`, 'is not the name of a limit');
    else if (limits.has(name)) report(`limits[${index}]`, 'names a limit twice');
    else limits.add(name);
  }
  return [...limits];
}

function matching(value: unknown, pattern: RegExp, key: string, report: Report): string {
  if (typeof value === 'string' && pattern.test(value)) return value;
  report(key, 'is not a name of letters, digits, `_` and `-`');
  return '';
}
