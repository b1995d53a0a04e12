import { MAX_PRICE } from '../decision/charge-terms.ts';
import { isObject } from '../decision/json.ts';
import { checkTerms } from './limits-terms.ts';

/** Something in the limits of a catalog that can never work: where, and what to do. */
export interface LimitsFault {
  /** As `catalog.limits.calls.size`. */
  readonly path: string;
  readonly message: string;
}

/** Tells a fault. */
export type ReportFault = (path: string, message: string) => void;

/** An object of the data. */
export type Data = { readonly [key: string]: unknown };

/**
 * Names what in `limits`, `overrides`, `prices`, `tenants` and `models` of `data.catalog` can never work as the shipped
 * policies read it. Says nothing of what is not there.
 */
export function checkLimitsData(catalog: unknown): readonly LimitsFault[] {
  if (!isObject(catalog)) return [];
  const faults: LimitsFault[] = [];
  const report: ReportFault = (path, message) => void faults.push({ path, message });
  const limits = entries(catalog['limits'], 'catalog.limits', report);
  for (const [name, limit] of limits) checkTerms(name, limit, report);
  checkOverrides(catalog['overrides'], new Map(limits), report);
  for (const [model, price] of entries(catalog['prices'], 'catalog.prices', report)) checkPrice(model, price, report);
  checkModels(entries(catalog['models'], 'catalog.models', report), report);
  checkCaps(entries(catalog['tiers'], 'catalog.tiers', report), 'catalog.tiers', report);
  checkWeights(catalog, new Map(limits), report);
  return faults;
}

function entries(value: unknown, path: string, report: ReportFault): readonly (readonly [string, Data])[] {
  if (value === undefined) return [];
  if (!isObject(value)) {
    report(path, 'is not an object');
    return [];
  }
  return Object.entries(value).flatMap(([name, one]) => {
    if (isObject(one)) return [[name, one] as const];
    report(`${path}.${name}`, 'is not an object');
    return [];
  });
}

/** What an override may name, and the dimensions of a key that keep those it names apart. */
const APART: ReadonlyMap<string, readonly string[]> = new Map([
  ['tenant', ['tenant', 'principal', 'key_id']],
  ['key_id', ['key_id']],
  ['subject', ['principal']],
  ['issuer', ['principal']],
  ['model', ['model']],
  ['method', ['method']],
  ['country', ['country']],
  ['address', ['address']],
]);

function checkOverrides(value: unknown, limits: ReadonlyMap<string, Data>, report: ReportFault): void {
  if (value === undefined) return;
  if (!isObject(value)) {
    report('catalog.overrides', 'is not an object of lists by the name of their limit');
    return;
  }
  for (const [name, list] of Object.entries(value)) {
    const path = `catalog.overrides.${name}`;
    const limit = limits.get(name);
    if (limit === undefined) report(path, 'is for a limit that `catalog.limits` does not have');
    if (!Array.isArray(list)) report(path, 'is not a list');
    else for (const [at, one] of list.entries()) checkOverride(one, `${path}[${at}]`, name, limit, report);
  }
}

function checkOverride(one: unknown, path: string, name: string, limit: Data | undefined, report: ReportFault): void {
  if (!isObject(one)) {
    report(path, 'is not an object');
    return;
  }
  for (const key of Object.keys(one)) {
    if (!['for', 'until', 'size', 'burst'].includes(key)) report(`${path}.${key}`, 'is not a key of an override');
  }
  const { for: whom, until, size, burst } = one;
  if (!isObject(whom) || Object.keys(whom).length === 0) report(`${path}.for`, 'names nobody: say whom it is for');
  else checkWhom(whom, `${path}.for`, limit, report);
  if (!isMoment(until)) {
    report(`${path}.until`, 'is not a time such as `2027-01-31T00:00:00Z`, before the year 2262');
  }
  if (isObject(size) || isObject(burst))
    report(path, 'must name its `size`, and its `burst`, as a number or `unlimited`');
  else if (limit !== undefined) checkTerms(name, { ...limit, size, burst }, (_path, message) => report(path, message));
}

function checkWhom(whom: Data, path: string, limit: Data | undefined, report: ReportFault): void {
  const key: readonly unknown[] = Array.isArray(limit?.['key']) ? limit['key'] : [];
  for (const [dimension, value] of Object.entries(whom)) {
    const apart = APART.get(dimension);
    if (apart === undefined) report(`${path}.${dimension}`, `is none of \`${[...APART.keys()].join('`, `')}\``);
    else if (limit !== undefined && !apart.some((one) => key.includes(one))) {
      report(`${path}.${dimension}`, `is not kept apart by the limit: add \`${apart[0]}\` to its \`key\``);
    }
    if (typeof value !== 'string' || value === '') report(`${path}.${dimension}`, 'is not a text');
  }
  if (Object.hasOwn(whom, 'subject') && !Object.hasOwn(whom, 'issuer')) {
    report(`${path}.subject`, 'is a name of its issuer only: name the `issuer` too');
  }
}

/** As Rego's `time.parse_rfc3339_ns` reads it, which counts nanoseconds in 64 bits. */
function isMoment(value: unknown): value is string {
  if (typeof value !== 'string' || !RFC_3339.test(value)) return false;
  const ms = Date.parse(value);
  return Number.isFinite(ms) && ms < Date.UTC(2262, 0);
}

const RFC_3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;

function checkPrice(model: string, price: Data, report: ReportFault): void {
  const path = `catalog.prices.${model}`;
  const { input, cached, output, ...more } = price;
  for (const key of Object.keys(more)) report(`${path}.${key}`, 'is not a key of a price');
  for (const [key, rate] of Object.entries({ input, cached, output })) {
    if (!Number.isSafeInteger(rate) || Number(rate) < 0 || Number(rate) > MAX_PRICE) {
      report(`${path}.${key}`, 'is not an integer of nano-USD per million tokens, from 0 to 10^15');
    }
  }
}

function checkCaps(section: readonly (readonly [string, Data])[], path: string, report: ReportFault): void {
  for (const [name, { max_output_tokens: most }] of section) {
    if (most !== undefined && !isPositive(most)) {
      report(`${path}.${name}.max_output_tokens`, 'is not an integer from 1 to 2^53 - 1');
    }
  }
}

function checkModels(models: readonly (readonly [string, Data])[], report: ReportFault): void {
  checkCaps(models, 'catalog.models', report);
  const fallbacks = new Map(models.map(([name, model]) => [name, model['fallback']]));
  for (const name of fallbacks.keys()) {
    const path = `catalog.models.${name}.fallback`;
    const chain: unknown[] = [name];
    for (
      let next = fallbacks.get(name);
      next !== undefined;
      next = typeof next === 'string' ? fallbacks.get(next) : undefined
    ) {
      const last = String(chain.at(-1));
      if (typeof next !== 'string' || !fallbacks.has(next)) {
        if (last === name) report(path, 'names a model that `catalog.models` does not have');
        break;
      }
      if (chain.includes(next)) {
        report(path, `comes back to \`${next}\`: let the chain of fallbacks end`);
        break;
      }
      chain.push(next);
      if (chain.length > MOST_MODELS) {
        report(path, `is a chain of more than ${MOST_MODELS - 1} models: make it shorter`);
        break;
      }
    }
  }
}

/** The model that was asked for, and three behind it: with two plans each, as many as a request may have. */
const MOST_MODELS = 4;

function checkWeights(catalog: Data, limits: ReadonlyMap<string, Data>, report: ReportFault): void {
  const tenants = isObject(catalog['tenants']) ? catalog['tenants'] : {};
  let sum = 0;
  // There may be a great many.
  for (const name of Object.keys(tenants)) {
    const tenant = tenants[name];
    const weight = (isObject(tenant) ? tenant['weight'] : undefined) ?? 1;
    if (isPositive(weight) && weight <= MAX_WEIGHT) sum += weight;
    else report(`catalog.tenants.${name}.weight`, `is not an integer from 1 to ${MAX_WEIGHT}`);
  }
  const total = catalog['total_weight'];
  const fair = requiredLimits(catalog['routes']).filter((name) => limits.get(name)?.['fair'] !== undefined);
  if (fair.length > 0 && total !== sum) {
    report('catalog.total_weight', `is not ${sum}, the sum of the weights of all tenants (1 where none is named)`);
  }
  for (const name of new Set(fair)) {
    const size = limits.get(name)?.['size'];
    if (typeof size === 'number' && !Number.isSafeInteger(size * 100 * Math.max(sum, 1))) {
      report(`catalog.limits.${name}.size`, 'is too large to be shared by these weights: make either smaller');
    }
  }
}

const MAX_WEIGHT = 1_000_000;

function requiredLimits(routes: unknown): readonly string[] {
  if (!Array.isArray(routes)) return [];
  return routes.flatMap((route: unknown) =>
    isObject(route) && Array.isArray(route['limits']) ? route['limits'].filter((name) => typeof name === 'string') : [],
  );
}

function isPositive(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0;
}
