import { LRUCache } from 'lru-cache';
import { abbreviationOf } from './zone-abbreviation.ts';

/** A moment, and how far its zone's clocks are ahead of UTC then. */
export interface ZonedTime {
  /** Whole seconds since 1970 and the nanoseconds behind them. */
  readonly seconds: number;
  readonly nanos: number;
  readonly offsetSeconds: number;
  readonly zone: Zone;
}

/** What a clock and a calendar on the wall show. Months and days count from 1, Sunday is 0. */
export interface Civil {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly weekday: number;
  readonly dayOfYear: number;
}

export interface Zone {
  readonly name: string;
  offsetAt(seconds: number): number;
  /** `UTC`, `PST`, `+03` …; `undefined` where none is known. */
  abbreviationAt(seconds: number): string | undefined;
}

export const UTC: Zone = { name: 'UTC', offsetAt: () => 0, abbreviationAt: () => 'UTC' };

const NS_PER_SECOND = 1_000_000_000n;

export function fromUnixNs(ns: bigint, zone: Zone): ZonedTime {
  let seconds = ns / NS_PER_SECOND;
  let nanos = ns % NS_PER_SECOND;
  if (nanos < 0n) {
    seconds -= 1n;
    nanos += NS_PER_SECOND;
  }
  return { seconds: Number(seconds), nanos: Number(nanos), offsetSeconds: zone.offsetAt(Number(seconds)), zone };
}

export function toUnixNs(seconds: number, nanos: number): bigint {
  return BigInt(seconds) * NS_PER_SECOND + BigInt(nanos);
}

export function toCivil({ seconds, offsetSeconds }: ZonedTime): Civil {
  const local = seconds + offsetSeconds;
  const days = Math.floor(local / 86_400);
  const rest = local - days * 86_400;
  // The proleptic Gregorian calendar in eras of 400 years that begin on 1 March.
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfMarchYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * dayOfMarchYear + 2) / 153);
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return {
    year,
    month,
    day: dayOfMarchYear - Math.floor((153 * marchMonth + 2) / 5) + 1,
    hour: Math.floor(rest / 3_600),
    minute: Math.floor(rest / 60) % 60,
    second: rest % 60,
    weekday: (((days + 4) % 7) + 7) % 7,
    dayOfYear: days - daysFromCivil(year, 1, 1) + 1,
  };
}

/** Days since 1970-01-01. Months and days may lie outside their range and carry over. */
export function daysFromCivil(year: number, month: number, day: number): number {
  const years = year + Math.floor((month - 1) / 12);
  const inYear = ((((month - 1) % 12) + 12) % 12) + 1;
  const marchYear = inYear <= 2 ? years - 1 : years;
  const era = Math.floor(marchYear / 400);
  const yearOfEra = marchYear - era * 400;
  const dayOfYear = Math.floor((153 * (inYear > 2 ? inYear - 3 : inYear + 9) + 2) / 5);
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468 + day - 1;
}

/** Seconds since 1970 of a wall clock's reading; where it is ambiguous or skipped, as Go's `time.Date` resolves it. */
export function fromCivil(
  { year, month, day, hour, minute, second }: Omit<Civil, 'weekday' | 'dayOfYear'>,
  zone: Zone,
): number {
  const unzoned = daysFromCivil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
  const guess = zone.offsetAt(unzoned);
  return guess === 0 ? unzoned : unzoned - zone.offsetAt(unzoned - guess);
}

const zones = new LRUCache<string, Zone>({ max: 128 });
const ZONE_STEPS = 3_000;

/** A zone of the IANA database by its exact name; `undefined` when there is none. `Local` is UTC here. Looking for one takes long, and is told first. */
export function zoneNamed(name: string, charge: (steps: number) => void): Zone | undefined {
  if (name === '' || name === 'UTC' || name === 'Local') return UTC;
  const known = zones.get(name);
  if (known !== undefined) return known;
  charge(ZONE_STEPS);
  const zone = createZone(name);
  if (zone !== undefined) zones.set(name, zone);
  return zone;
}

const ZONE_NAME = /^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/;

function createZone(name: string): Zone | undefined {
  if (!ZONE_NAME.test(name)) return undefined;
  const parts = {
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
    era: 'short',
    hourCycle: 'h23',
  } as const;
  let clock: Intl.DateTimeFormat;
  try {
    clock = new Intl.DateTimeFormat('en-US', { timeZone: name, ...parts });
  } catch {
    return undefined;
  }
  // The platform ignores case, OPA does not.
  const resolved = clock.resolvedOptions().timeZone;
  if (resolved !== name && resolved.toLowerCase() === name.toLowerCase()) return undefined;
  const offsets = new LRUCache<number, number>({ max: 512 });
  const offsetAt = (seconds: number): number => {
    // Zones change on the quarter hour, so within one the offset is the same.
    const quarter = Math.floor(seconds / 900);
    const known = offsets.get(quarter);
    if (known !== undefined) return known;
    const offset = wallSeconds(clock, seconds) - seconds;
    offsets.set(quarter, offset);
    return offset;
  };
  return { name, offsetAt, abbreviationAt: (seconds) => abbreviationOf(name, seconds, offsetAt(seconds)) };
}

function wallSeconds(clock: Intl.DateTimeFormat, seconds: number): number {
  const values = new Map(clock.formatToParts(new Date(seconds * 1_000)).map(({ type, value }) => [type, value]));
  const number = (type: Intl.DateTimeFormatPartTypes): number => Number(values.get(type) ?? 0);
  const year = values.get('era') === 'BC' ? 1 - number('year') : number('year');
  return (
    daysFromCivil(year, number('month'), number('day')) * 86_400 +
    number('hour') * 3_600 +
    number('minute') * 60 +
    number('second')
  );
}
