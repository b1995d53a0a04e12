import { isRegoArray, RegoNumber, type RegoValue, regoNumber } from '../rego-value.ts';
import { asString, type Builtin, type Builtins, FAILED, integerAt, nowNs, stringAt } from './builtin.ts';
import {
  type Civil,
  daysFromCivil,
  fromCivil,
  fromUnixNs,
  toCivil,
  toUnixNs,
  type ZonedTime,
  zoneNamed,
} from './civil-time.ts';
import { parseDurationNs } from './duration.ts';
import { NAMED_LAYOUTS, WEEKDAYS } from './go-layout.ts';
import { formatTime } from './time-format.ts';
import { parseTime } from './time-parse.ts';

/** OPA's `time` family. `now_ns` is the decision's one reading of the clock. */
export const TIME_BUILTINS: Builtins = new Map<string, Builtin>([
  ['time.now_ns', (_args, context) => regoNumber(nowNs(context))],
  ['time.parse_rfc3339_ns', (args) => inRange(parseTime('2006-01-02T15:04:05Z07:00', stringAt(args, 0)))],
  ['time.parse_ns', (args) => inRange(parseTime(layoutOf(stringAt(args, 0)), stringAt(args, 1)))],
  ['time.parse_duration_ns', (args) => optionalNumber(parseDurationNs(stringAt(args, 0)))],
  ['time.format', ([moment]) => format(momentOf(moment))],
  ['time.date', ([moment]) => numbers(civilOf(moment), ['year', 'month', 'day'])],
  ['time.clock', ([moment]) => numbers(civilOf(moment), ['hour', 'minute', 'second'])],
  ['time.weekday', ([moment]) => WEEKDAYS[civilOf(moment).weekday]],
  [
    'time.add_date',
    (args) => addDate(momentOf(args[0]).time, integerAt(args, 1), integerAt(args, 2), integerAt(args, 3)),
  ],
  ['time.diff', ([from, to]) => difference(momentOf(from).time, momentOf(to).time)],
]);

interface Moment {
  readonly time: ZonedTime;
  readonly layout: string;
}

const INT64_MAX = 2n ** 63n - 1n;

/** `ns`, or `[ns, zone]`, or `[ns, zone, layout]`. */
function momentOf(value: RegoValue | undefined): Moment {
  const [ns, zone = 'UTC', layout = ''] = isRegoArray(value) ? value : [value];
  const named = zoneNamed(asString(zone));
  if (named === undefined) throw FAILED;
  return { time: fromUnixNs(nanoseconds(ns), named), layout: asString(layout) };
}

function nanoseconds(value: RegoValue | undefined): bigint {
  if (!(value instanceof RegoNumber)) throw FAILED;
  const ns = /^-?[0-9]+$/.test(value.text) ? BigInt(value.text) : wholeNumber(Number(value.text));
  if (ns > INT64_MAX || ns < -INT64_MAX - 1n) throw FAILED;
  return ns;
}

function wholeNumber(value: number): bigint {
  if (!Number.isInteger(value)) throw FAILED;
  return BigInt(value);
}

function civilOf(value: RegoValue | undefined): Civil {
  return toCivil(momentOf(value).time);
}

function numbers<const Key extends keyof Civil>(civil: Civil, keys: readonly Key[]): readonly RegoNumber[] {
  return keys.map((key) => regoNumber(civil[key]));
}

function format({ time, layout }: Moment): string {
  const text = formatTime(time, layoutOf(layout === '' ? 'RFC3339Nano' : layout));
  // OPA knows every zone's abbreviation; where we do not, no answer is better than another one.
  if (text === undefined) throw new Error(`\`time.format\` does not know the abbreviation of \`${time.zone.name}\``);
  return text;
}

function layoutOf(name: string): string {
  return NAMED_LAYOUTS.get(name) ?? name;
}

function inRange(ns: bigint | undefined): RegoNumber | undefined {
  return ns === undefined || ns > INT64_MAX || ns < -INT64_MAX - 1n ? undefined : regoNumber(ns);
}

function optionalNumber(ns: bigint | undefined): RegoNumber | undefined {
  return ns === undefined ? undefined : regoNumber(ns);
}

/** Further off than this no result is within 292 years of 1970. */
const MAX_YEARS = 1_000_000;

function addDate(time: ZonedTime, years: number, months: number, days: number): RegoNumber | undefined {
  if (Math.abs(years) > MAX_YEARS || Math.abs(months) > 12 * MAX_YEARS || Math.abs(days) > 366 * MAX_YEARS)
    return undefined;
  const civil = toCivil(time);
  const moved = { ...civil, year: civil.year + years, month: civil.month + months, day: civil.day + days };
  return inRange(toUnixNs(fromCivil(moved, time.zone), time.nanos));
}

/** Years, months, days, hours, minutes and seconds from the earlier to the later, on the first one's clock. */
function difference(first: ZonedTime, second: ZonedTime): readonly RegoNumber[] {
  const other = { ...second, zone: first.zone, offsetSeconds: first.zone.offsetAt(second.seconds) };
  const swapped = first.seconds > other.seconds || (first.seconds === other.seconds && first.nanos > other.nanos);
  const from = toCivil(swapped ? other : first);
  const to = toCivil(swapped ? first : other);
  const parts = [
    to.year - from.year,
    to.month - from.month,
    to.day - from.day,
    to.hour - from.hour,
    to.minute - from.minute,
    to.second - from.second,
  ];
  const daysInMonth = daysFromCivil(from.year, from.month + 1, 1) - daysFromCivil(from.year, from.month, 1);
  for (const [position, size] of [0, 12, daysInMonth, 24, 60, 60]
    .map((size, index) => [index, size] as const)
    .reverse()) {
    const value = parts[position] ?? 0;
    if (position === 0 || value >= 0) continue;
    parts[position] = value + size;
    parts[position - 1] = (parts[position - 1] ?? 0) - 1;
  }
  return parts.map(regoNumber);
}
