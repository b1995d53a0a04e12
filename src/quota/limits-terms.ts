import { CHARGE_KEYS, parseChargeTerms } from '../decision/charge-terms.ts';
import { RequestFault } from '../decision/errors.ts';
import { isObject } from '../decision/json.ts';
import type { Data, ReportFault } from './limits-data.ts';

/** Reports what in the terms of one limit can never make a charge: each size is tried as the core will read it. */
export function checkTerms(name: string, limit: Data, report: ReportFault): void {
  const path = `catalog.limits.${name}`;
  for (const key of Object.keys(limit)) if (!KEYS.has(key)) report(`${path}.${key}`, unknownKey(key));
  const cost = sampleCost(limit['cost']);
  if (cost === undefined) {
    report(`${path}.cost`, `is neither an integer nor one of \`${[...UNIT_OF_COST.keys()].join('`, `')}\``);
    return;
  }
  const unit = UNIT_OF_COST.get(limit['cost']);
  if (unit !== undefined && unit !== limit['unit']) {
    report(`${path}.cost`, `is counted in \`${unit}\`, and the limit in \`${String(limit['unit'])}\`: make them one`);
  }
  checkAmounts(name, limit, cost, report);
  checkCounting(limit, path, report);
  checkKey(limit, path, report);
  checkFailure(limit, path, report);
  if (limit['fair'] !== undefined) checkFair(limit, path, report);
}

const KEYS: ReadonlySet<string> = new Set([
  ...[...CHARGE_KEYS].filter((key) => !['name', 'limit', 'prices', 'model'].includes(key)),
  'size',
  'fair',
  'service_key',
]);

function unknownKey(key: string): string {
  switch (key) {
    case 'limit':
      return 'is not a key of a limit: write `size`';
    case 'prices':
      return 'is not a key of a limit: prices are by model, in `catalog.prices`';
    default:
      return 'is not a key of a limit';
  }
}

/** The unit that a cost is counted in. */
const UNIT_OF_COST: ReadonlyMap<unknown, string> = new Map([
  ['request', 'requests'],
  ['body_bytes', 'bytes'],
  ['estimated_tokens', 'tokens'],
  ['estimated_price', 'nano_usd'],
]);

function sampleCost(cost: unknown): number | undefined {
  if (UNIT_OF_COST.has(cost)) return 1;
  return Number.isSafeInteger(cost) && Number(cost) >= 0 ? Number(cost) : undefined;
}

function checkAmounts(name: string, limit: Data, cost: number, report: ReportFault): void {
  const path = `catalog.limits.${name}`;
  const sizes = amountsOf(limit, 'size', path, report);
  const bursts = limit['burst'] === undefined ? ONE_SIZE : amountsOf(limit, 'burst', path, report);
  if (sizes === undefined || bursts === undefined) return;
  // What is no key of a charge is told already.
  const terms = Object.fromEntries(Object.entries(limit).filter(([key]) => key !== 'burst' && CHARGE_KEYS.has(key)));
  const priced = limit['unit'] === 'nano_usd' ? { prices: { input: 0, output: 0 } } : {};
  const sample = { ...terms, ...priced, name, cost };
  const told = new Set<string>();
  const tell = (place: string, fault: string | undefined): void => {
    // One fault of the terms is one of every size.
    if (fault === undefined || told.has(fault)) return;
    told.add(fault);
    report(place, fault);
  };
  const [anySize] = sizes.values();
  const [anyBurst] = bursts.values();
  for (const [of, size] of sizes) {
    const burst = bursts.has(of) ? bursts.get(of) : anyBurst;
    tell(sizes.size === 1 ? path : `${path}.size.${of}`, faultOf(sample, size, burst));
  }
  for (const [of, burst] of bursts) {
    if (of !== '' && !sizes.has(of)) tell(`${path}.burst.${of}`, faultOf(sample, anySize, burst));
  }
}

/** By `by_tier.NAME` or `by_model.NAME`, or by nothing where there is but one. */
type Amounts = ReadonlyMap<string, unknown>;

const ONE_SIZE: Amounts = new Map([['', undefined]]);

/** A number, or `unlimited`, or one of these by tier or by model. */
function amountsOf(limit: Data, member: 'size' | 'burst', path: string, report: ReportFault): Amounts | undefined {
  const value = limit[member];
  if (!isObject(value)) return new Map([['', value]]);
  const [[by, amounts] = [], ...more] = Object.entries(value);
  if ((by !== 'by_tier' && by !== 'by_model') || more.length > 0 || !isObject(amounts)) {
    report(`${path}.${member}`, 'is neither a number nor `{"by_tier": {…}}` nor `{"by_model": {…}}`');
    return undefined;
  }
  const named = Object.entries(amounts);
  if (named.length === 0) {
    report(`${path}.${member}.${by}`, 'is empty: name an amount for each');
    return undefined;
  }
  checkApart(limit, by, named, { path, member, report });
  return new Map(named.map(([name, amount]) => [`${by}.${name}`, amount]));
}

/** The dimensions of a key that keep the amounts apart. */
const APART: Readonly<Record<'by_tier' | 'by_model', readonly string[]>> = {
  by_tier: ['tier', 'principal', 'key_id'],
  by_model: ['model'],
};

/** A bucket is known by its key: two sizes on one would let each call use, and refill by, what is not its own. */
function checkApart(
  limit: Data,
  by: keyof typeof APART,
  named: readonly (readonly [string, unknown])[],
  { path, member, report }: { readonly path: string; readonly member: string; readonly report: ReportFault },
): void {
  if (named.every(([, amount]) => amount === named[0]?.[1])) return;
  // All services are of one tier.
  for (const which of by === 'by_model' ? ['key', 'service_key'] : ['key']) {
    const key: unknown = limit[which];
    if (!Array.isArray(key) || APART[by].some((dimension) => key.includes(dimension))) continue;
    report(`${path}.${which}`, `does not keep the amounts of \`${member}.${by}\` apart: add \`${APART[by][0]}\` to it`);
  }
}

/** What is counted as nothing refuses nobody; without `reserve`, nothing is charged afterwards either. */
function checkCounting({ cost, weights, reserve, mode }: Data, path: string, report: ReportFault): void {
  if (cost === 0 && reserve === undefined && mode !== 'shadow') {
    report(`${path}.cost`, 'is 0, so that nothing is ever counted: name what a request costs');
  }
  if (isObject(weights) && Object.keys(weights).length > 0 && Object.values(weights).every((weight) => weight === 0)) {
    report(`${path}.weights`, 'are all 0, so that nothing is ever counted: name one above 0');
  }
}

function faultOf(sample: Data, size: unknown, burst: unknown): string | undefined {
  if (size === undefined) return 'has no `size`';
  const amounts = { limit: size === 'unlimited' ? 1 : size, ...(burst === undefined ? {} : { burst }) };
  try {
    parseChargeTerms({ ...sample, ...amounts });
    return undefined;
  } catch (error) {
    if (!(error instanceof RequestFault)) throw error;
    return `can make no charge: ${error.message.replace('`limit`', 'the size')}`;
  }
}

/** A key with the address is the one by which the anonymous are charged, and of much they have nothing. */
function checkKey({ key, service_key }: Data, path: string, report: ReportFault): void {
  if (Array.isArray(key) && key.includes('address')) {
    const others = key.filter((dimension) => !OF_ANYBODY.has(dimension));
    if (others.length > 0) {
      report(
        `${path}.key`,
        `has \`${others.join('`, `')}\` beside \`address\`, which the anonymous do not have: make it two limits`,
      );
    }
  }
  if (service_key === undefined) return;
  const known = Array.isArray(service_key) && service_key.every((one) => OF_SERVICES.has(one));
  if (!known) report(`${path}.service_key`, `is not a list of \`${[...OF_SERVICES].join('`, `')}\``);
}

const OF_ANYBODY: ReadonlySet<unknown> = new Set(['address', 'route', 'method', 'country']);
const OF_SERVICES: ReadonlySet<unknown> = new Set([...OF_ANYBODY, 'principal', 'peer', 'model', 'operation']);

/** What a store that fails must not let pass uncounted. */
function checkFailure(
  { on_failure, kind, unit, calendar, per_seconds: seconds }: Data,
  path: string,
  report: ReportFault,
): void {
  if (on_failure === undefined || on_failure === 'deny') return;
  const strict =
    unit === 'nano_usd'
      ? 'money'
      : calendar === 'month' || (kind === 'window' && Number(seconds) >= MONTH_SECONDS)
        ? 'months, and windows as long'
        : kind === 'concurrency'
          ? 'concurrency'
          : undefined;
  if (strict !== undefined) report(`${path}.on_failure`, `is not for ${strict}: say \`deny\``);
  else if (on_failure === 'local_share' && kind !== 'rate') {
    report(`${path}.on_failure`, 'is `local_share`, which is for the kind `rate` only: say `deny`');
  }
}

/** The shortest month. */
const MONTH_SECONDS = 28 * 86_400;

function checkFair(limit: Data, path: string, report: ReportFault): void {
  const { fair, key, kind, scope, size, burst } = limit;
  const { guaranteed_percent: percent, ...more } = isObject(fair) ? fair : {};
  if (!Number.isSafeInteger(percent) || Number(percent) < 1 || Number(percent) > 99 || Object.keys(more).length > 0) {
    report(`${path}.fair`, 'is not `{"guaranteed_percent": n}` with n from 1 to 99');
  }
  if (scope !== 'shared' || kind === 'concurrency')
    report(path, 'with `fair` must be of the scope `shared`, and a rate or a window');
  if (typeof size !== 'number' || burst !== undefined)
    report(path, 'with `fair` must have a number as `size`, and no `burst`');
  const others = Array.isArray(key) ? key.filter((dimension) => !OF_ENDPOINTS.has(dimension)) : [];
  if (others.length > 0) report(`${path}.key`, `has \`${others.join('`, `')}\`, which is not what tenants share`);
}

const OF_ENDPOINTS: ReadonlySet<unknown> = new Set(['route', 'method', 'operation', 'model']);
