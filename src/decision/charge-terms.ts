import { invalidCharges, MAX_TEXT, natural, oneOf, optional, positive, text } from './charge-fields.ts';
import { quoted } from './errors.ts';
import { isObject } from './json.ts';
import { createKnownCharges } from './known-charges.ts';

/** What a policy may name as part of a bucket's key; the core fills in the verified value. */
export type Dimension =
  | 'principal'
  | 'tenant'
  | 'key_id'
  | 'peer'
  | 'address'
  | 'model'
  | 'route'
  | 'operation'
  | 'method'
  | 'country'
  | 'tier'
  | `claim:${string}`;

/** What is counted. `nano_usd`: thousand-millionths of a US dollar. */
export const UNITS = ['requests', 'tokens', 'bytes', 'nano_usd'] as const;
export type Unit = (typeof UNITS)[number];

export const CALENDARS = ['minute', 'hour', 'day', 'week', 'month'] as const;
export type Calendar = (typeof CALENDARS)[number];

/** What one token of each sort costs in the charge's unit: `per` is 1 for tokens, 1,000,000 for `nano_usd`. */
export interface Meter {
  readonly input: number;
  readonly cached: number;
  readonly output: number;
  readonly per: 1 | 1_000_000;
}

/** A cost that is held until it is settled, released or expires. */
export interface Reserve {
  readonly ttlSeconds: number;
  /** What an unsettled hold becomes; that of a `concurrency` limit always ends. */
  readonly onExpiry: 'charge' | 'release';
  /** What is held at the least, whatever was learned: the estimate of the prompt. */
  readonly atLeast: number;
  /** Whether the cost may be cut to what such calls were seen to use. */
  readonly learned: boolean;
}

/** One well-formed charge of a `limits` result, but for the values of its key. */
export interface ChargeTerms {
  readonly name: string;
  readonly dimensions: readonly Dimension[];
  readonly unit: Unit;
  readonly kind: 'rate' | 'window' | 'concurrency';
  /** A rate refills this much in each period; a window and a concurrency limit hold this much. */
  readonly limit: number;
  /** The most that fits at once; that of a window and of a concurrency limit is the limit. */
  readonly burst: number;
  readonly cost: number;
  readonly periodSeconds?: number;
  readonly calendar?: Calendar;
  /** IANA name of the zone whose calendar it is. */
  readonly zone?: string;
  readonly reserve?: Reserve;
  readonly meter?: Meter;
  /** The model that the plan is for, where it is another than the one asked for. */
  readonly model?: string;
  readonly mode: 'enforce' | 'shadow';
  readonly onFailure: 'deny' | 'local_share' | 'allow';
  readonly charge: 'admitted' | 'always';
  readonly scope: 'tenant' | 'shared';
}

/** The members of a charge. */
export const CHARGE_KEYS: ReadonlySet<string> = new Set([
  'name',
  'key',
  'unit',
  'kind',
  'limit',
  'per_seconds',
  'calendar',
  'zone',
  'burst',
  'cost',
  'reserve',
  'weights',
  'prices',
  'model',
  'mode',
  'on_failure',
  'charge',
  'scope',
]);

/**
 * Reads one charge of a `limits` result. Throws a `RequestFault` `invalid_charges` for whatever is unclear, and for a
 * limit whose arithmetic would leave 0 … 2^53 − 1. Equal charges have the same terms, as long as they come often.
 */
export function parseChargeTerms(value: unknown): ChargeTerms {
  if (!isObject(value)) throw invalidCharges('a charge is not an object');
  const known = FROZEN.get(value) ?? LATELY.find(value);
  if (known !== undefined) return known;
  const terms = readTerms(value);
  if (!Object.isFrozen(value)) return LATELY.add(value, terms);
  FROZEN.set(value, terms);
  return terms;
}

/** Results that requests share. */
const FROZEN = new WeakMap<object, ChargeTerms>();
const LATELY = createKnownCharges(readTerms);

type Fields = { readonly [key: string]: unknown };

function readTerms(value: Fields): ChargeTerms {
  for (const key of Object.keys(value)) {
    if (!CHARGE_KEYS.has(key)) throw invalidCharges(`a charge has the unknown key ${quoted(key)}`);
  }
  const name = text(value['name'], 'name');
  const kind = oneOf(value['kind'], ['rate', 'window', 'concurrency'] as const, 'kind');
  const unit = oneOf(value['unit'], UNITS, 'unit');
  const limit = positive(value['limit'], 'limit');
  const cost = natural(value['cost'], 'cost');
  const reserve = value['reserve'] === undefined ? undefined : readReserve(value['reserve'], cost);
  const meter = readMeter(value, unit, reserve !== undefined);
  const terms: ChargeTerms = {
    name,
    dimensions: readDimensions(value['key']),
    unit,
    kind,
    limit,
    burst: readBurst(value['burst'], kind, limit),
    cost,
    mode: optional(value['mode'], 'enforce', (mode) => oneOf(mode, ['enforce', 'shadow'] as const, 'mode')),
    onFailure: optional(value['on_failure'], 'deny', (on) =>
      oneOf(on, ['deny', 'local_share', 'allow'] as const, 'on_failure'),
    ),
    charge: optional(value['charge'], 'admitted', (when) => oneOf(when, ['admitted', 'always'] as const, 'charge')),
    scope: oneOf(value['scope'], ['tenant', 'shared'] as const, 'scope'),
    ...readPeriod(value, kind),
    ...(reserve === undefined ? {} : { reserve }),
    ...(meter === undefined ? {} : { meter }),
    ...(value['model'] === undefined ? {} : { model: text(value['model'], 'model') }),
  };
  checkRange(terms);
  return terms;
}

function readDimensions(value: unknown): readonly Dimension[] {
  if (!Array.isArray(value)) throw invalidCharges('`key` is not a list of dimensions');
  if (new Set(value).size !== value.length) throw invalidCharges('`key` names a dimension twice');
  return value.map((dimension) => {
    if (typeof dimension !== 'string' || !isDimension(dimension)) {
      throw invalidCharges(`\`key\` names ${quoted(dimension)}, which is no dimension`);
    }
    return dimension;
  });
}

function isDimension(text: string): text is Dimension {
  return DIMENSIONS.has(text) || (/^claim:./.test(text) && text.length <= MAX_TEXT);
}

const DIMENSIONS: ReadonlySet<string> = new Set([
  'principal',
  'tenant',
  'key_id',
  'peer',
  'address',
  'model',
  'route',
  'operation',
  'method',
  'country',
  'tier',
]);

function readPeriod(
  { per_seconds, calendar, zone }: Fields,
  kind: ChargeTerms['kind'],
): Pick<ChargeTerms, 'periodSeconds' | 'calendar' | 'zone'> {
  if (kind === 'rate' || (kind === 'window' && calendar === undefined)) {
    if (calendar !== undefined || zone !== undefined) {
      throw invalidCharges(`a ${kind} has both a period and a calendar`);
    }
    return { periodSeconds: positive(per_seconds, 'per_seconds') };
  }
  if (per_seconds !== undefined) throw invalidCharges('`per_seconds` does not go with this kind of limit');
  if (kind === 'concurrency') {
    if (calendar !== undefined || zone !== undefined) throw invalidCharges('a concurrency limit has no calendar');
    return {};
  }
  return { calendar: oneOf(calendar, CALENDARS, 'calendar'), zone: timeZone(zone) };
}

/** `Intl` knows the zones; those of the form `+01:00` know no daylight saving, and `UTC` is the one that needs none. */
function timeZone(value: unknown): string {
  const zone = text(value, 'zone');
  if (KNOWN_ZONES.has(zone)) return zone;
  try {
    if (zone !== 'UTC' && !zone.includes('/')) throw new RangeError('no region');
    new Intl.DateTimeFormat('en', { timeZone: zone });
    if (KNOWN_ZONES.size < 1000) KNOWN_ZONES.add(zone);
    return zone;
  } catch {
    throw invalidCharges(`\`zone\` ${quoted(zone)} is no IANA time zone such as \`Europe/Berlin\` or \`UTC\``);
  }
}

const KNOWN_ZONES = new Set<string>();

function readBurst(value: unknown, kind: ChargeTerms['kind'], limit: number): number {
  if (value === undefined) return limit;
  if (kind !== 'rate') throw invalidCharges('`burst` goes with a `rate` only');
  return positive(value, 'burst');
}

function readReserve(value: unknown, cost: number): Reserve {
  if (!isObject(value)) throw invalidCharges('`reserve` is not an object');
  for (const key of Object.keys(value)) {
    if (!RESERVE_KEYS.has(key)) throw invalidCharges(`\`reserve\` has the unknown key ${quoted(key)}`);
  }
  const atLeast = optional(value['at_least'], 0, (least) => natural(least, 'reserve.at_least'));
  return {
    ttlSeconds: positive(value['ttl_seconds'], 'reserve.ttl_seconds'),
    onExpiry: optional(value['on_expiry'], 'charge', (on) =>
      oneOf(on, ['charge', 'release'] as const, 'reserve.on_expiry'),
    ),
    atLeast: Math.min(atLeast, cost),
    learned: optional(value['learned'], true, (learned) => {
      if (typeof learned !== 'boolean') throw invalidCharges('`reserve.learned` is not a boolean');
      return learned;
    }),
  };
}

const RESERVE_KEYS: ReadonlySet<string> = new Set(['ttl_seconds', 'on_expiry', 'at_least', 'learned']);

/** Tokens count once each unless `weights` says otherwise; money needs `prices`, in nano-USD per million tokens. */
function readMeter({ weights, prices }: Fields, unit: Unit, reserved: boolean): Meter | undefined {
  if (weights !== undefined && unit !== 'tokens') throw invalidCharges('`weights` go with the unit `tokens` only');
  if (prices !== undefined && unit !== 'nano_usd') throw invalidCharges('`prices` go with the unit `nano_usd` only');
  if (unit === 'tokens') {
    return weights === undefined ? ONE_EACH : { ...rates(weights, 'weights', MAX_WEIGHT), per: 1 };
  }
  if (unit !== 'nano_usd') return undefined;
  if (prices === undefined && reserved) throw invalidCharges('a reserve of `nano_usd` needs `prices` to be settled by');
  return prices === undefined ? undefined : { ...rates(prices, 'prices', MAX_PRICE), per: 1_000_000 };
}

const ONE_EACH: Meter = { input: 1, cached: 1, output: 1, per: 1 };
const MAX_WEIGHT = 1_000;
/** A million dollars for a million tokens. */
export const MAX_PRICE = 1e15;

function rates(value: unknown, key: string, most: number): Omit<Meter, 'per'> {
  if (!isObject(value)) throw invalidCharges(`\`${key}\` is not an object`);
  const { input, cached, output, ...rest } = value;
  const unknownKeys = Object.keys(rest);
  if (unknownKeys.length > 0) throw invalidCharges(`\`${key}\` has the unknown key ${quoted(unknownKeys[0])}`);
  const rate = (given: unknown, name: string): number => {
    const number = natural(given, `${key}.${name}`);
    if (number > most) throw invalidCharges(`\`${key}.${name}\` is above ${most}`);
    return number;
  };
  return {
    input: rate(input, 'input'),
    cached: rate(cached === undefined ? input : cached, 'cached'),
    output: rate(output, 'output'),
  };
}

/** Levels of a rate are kept in parts of a unit, one for each millisecond of its period. */
function checkRange({ name, kind, unit, burst, periodSeconds = 0, reserve, cost }: ChargeTerms): void {
  if (kind === 'rate' && !Number.isSafeInteger(burst * periodSeconds * 1000)) {
    throw invalidCharges(`${quoted(name)}: a rate of this size over this period leaves 2^53; make it a \`window\``);
  }
  if (reserve !== undefined && reserve.ttlSeconds > MAX_TTL_SECONDS) {
    throw invalidCharges(`${quoted(name)}: \`reserve.ttl_seconds\` is above ${MAX_TTL_SECONDS}`);
  }
  if (periodSeconds > MAX_PERIOD_SECONDS) {
    throw invalidCharges(`${quoted(name)}: \`per_seconds\` is above ${MAX_PERIOD_SECONDS}`);
  }
  if (kind === 'concurrency' && (reserve === undefined || cost !== 1 || unit !== 'requests')) {
    throw invalidCharges(
      `${quoted(name)}: a concurrency limit needs \`reserve\`, the unit \`requests\` and a cost of 1`,
    );
  }
}

/** The longest that something is held without being renewed. */
export const MAX_TTL_SECONDS = 86_400;
const MAX_PERIOD_SECONDS = 366 * 86_400;
