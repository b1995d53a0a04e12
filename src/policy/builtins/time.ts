import { isNumber, numberOfBigInt, numberText, toBigInt } from '../values/number.ts';
import { isArray } from '../values/object.ts';
import type { NumberValue, Value } from '../values/value.ts';
import {
  type Builtin,
  type BuiltinContext,
  type Builtins,
  builtinFailure,
  nowNs,
  numberOperand,
  textOperand,
  typeFailure,
} from './builtin.ts';
import {
  type Civil,
  daysFromCivil,
  fromCivil,
  fromUnixNs,
  toCivil,
  toUnixNs,
  UTC,
  type ZonedTime,
  zoneNamed,
} from './civil-time.ts';
import { parseDurationNs } from './duration.ts';
import { NAMED_LAYOUTS, WEEKDAYS } from './go-layout.ts';
import { int64Operand } from './operands.ts';
import { quoteBytes } from './quote-bytes.ts';
import { formatTime } from './time-format.ts';
import { parseTime } from './time-parse.ts';

/** OPA's `time` family. `now_ns` is the decision's one reading of the clock. */
export const TIME_BUILTINS: Builtins = new Map<string, Builtin>([
  ['time.now_ns', (context) => nowNs(context)],
  ['time.parse_rfc3339_ns', (context, text) => parse(context, RFC3339, textOperand(context, text, 1))],
  [
    'time.parse_ns',
    (context, layout, text) => parse(context, textOperand(context, layout, 1), textOperand(context, text, 2)),
  ],
  ['time.parse_duration_ns', parseDuration],
  ['time.format', (context, moment) => format(context, momentOf(context, moment))],
  ['time.date', (context, moment) => numbers(civilOf(context, moment), ['year', 'month', 'day'])],
  ['time.clock', (context, moment) => numbers(civilOf(context, moment), ['hour', 'minute', 'second'])],
  ['time.weekday', (context, moment) => WEEKDAYS[civilOf(context, moment).weekday]],
  ['time.add_date', addDate],
  ['time.diff', (context, from, to) => difference(momentOf(context, from).time, momentOf(context, to).time)],
]);

const RFC3339 = 'RFC3339';

interface Moment {
  readonly time: ZonedTime;
  readonly layout: string;
}

const INT64_MAX = 2n ** 63n - 1n;

/** Zones are files to Go. */
const PATH = /^[/\\]|[.]{2}/;

/** `ns`, or `[ns, zone]`, or `[ns, zone, layout]`. */
function momentOf(context: BuiltinContext, value: Value): Moment {
  if (isNumber(value)) return { time: fromUnixNs(nanoseconds(context, value), UTC), layout: '' };
  const [ns, zone = 'UTC', layout = ''] = isArray(value) ? value : [];
  if (ns === undefined) throw typeFailure(context, 1, 'either number (ns) or [number (ns), string (tz)]', value);
  const number = numberOperand(context, ns, 1);
  const name = textOperand(context, zone, 1);
  const named = zoneNamed(name, (steps) => context.charge(steps));
  if (named === undefined) {
    throw builtinFailure(context, PATH.test(name) ? 'time: invalid location name' : `unknown time zone ${name}`);
  }
  const form = textOperand(context, layout, 1);
  return { time: fromUnixNs(nanoseconds(context, number), named), layout: form };
}

function nanoseconds(context: BuiltinContext, value: NumberValue): bigint {
  const ns = toBigInt(value) ?? wholeNumber(numberText(value));
  if (ns === undefined || ns > INT64_MAX || ns < -INT64_MAX - 1n) throw builtinFailure(context, 'timestamp too big');
  return ns;
}

const DECIMAL = /^(-?)([0-9]+)(?:[.]([0-9]*))?(?:[eE]([+-]?[0-9]+))?$/;
/** No 64-bit integer has more digits than these and a few. */
const MOST_DIGITS = 40;

/** `1.0` and `1e3` are whole too. */
function wholeNumber(text: string): bigint | undefined {
  const [, sign = '', integer = '', fraction = '', exponent = '0'] = DECIMAL.exec(text) ?? [];
  if (integer === '') return undefined;
  const digits = trimZeros(integer + fraction);
  if (digits === '') return 0n;
  const places = Number(exponent) + integer.length - digits.length;
  if (places < 0 || digits.length + places > MOST_DIGITS) return undefined;
  return BigInt(`${sign}${digits}${'0'.repeat(places)}`);
}

/** Without the zeros at the end. */
function trimZeros(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits.charCodeAt(end - 1) === 0x30) end--;
  return digits.slice(0, end);
}

function civilOf(context: BuiltinContext, value: Value): Civil {
  return toCivil(momentOf(context, value).time);
}

function numbers<const Key extends keyof Civil>(civil: Civil, keys: readonly Key[]): readonly number[] {
  return keys.map((key) => civil[key]);
}

function parse(context: BuiltinContext, layout: string, text: string): NumberValue {
  const form = layoutOf(layout);
  const parsed = parseTime(form, text);
  if (typeof parsed === 'bigint') return inRange(context, parsed);
  if (!context.strict) throw builtinFailure(context, '');
  const { wrong, at, element } = parsed;
  throw builtinFailure(
    context,
    element === undefined
      ? `parsing time ${quoteBytes(text)}: ${wrong}`
      : `parsing time ${quoteBytes(text)} as ${quoteBytes(form)}: cannot parse ${quoteBytes(text.slice(at))} as ${quoteBytes(element)}`,
  );
}

function parseDuration(context: BuiltinContext, operand: Value): NumberValue {
  const text = textOperand(context, operand, 1);
  const ns = parseDurationNs(text);
  if (typeof ns === 'bigint') return numberOfBigInt(ns);
  throw builtinFailure(context, context.strict ? `time: ${ns} ${quoteBytes(text)}` : '');
}

function format(context: BuiltinContext, { time, layout }: Moment): string {
  const form = layoutOf(layout === '' ? 'RFC3339Nano' : layout);
  context.charge(form.length);
  const text = formatTime(time, form);
  // OPA knows what clocks were called before 1970 too; where we do not, no answer is better than another one.
  if (text === undefined) throw new Error(`\`time.format\` does not know the abbreviation of \`${time.zone.name}\``);
  return text;
}

function layoutOf(name: string): string {
  return NAMED_LAYOUTS.get(name) ?? name;
}

function inRange(context: BuiltinContext, ns: bigint | undefined): NumberValue {
  if (ns === undefined || ns > INT64_MAX || ns < -INT64_MAX - 1n) {
    throw builtinFailure(context, 'time outside of valid range');
  }
  return numberOfBigInt(ns);
}

/** Further off than this no result is within 292 years of 1970. */
const MAX_YEARS = 1_000_000;

function addDate(context: BuiltinContext, moment: Value, byYears: Value, byMonths: Value, byDays: Value): NumberValue {
  const { time } = momentOf(context, moment);
  const years = int64Operand(context, byYears, 2);
  const months = int64Operand(context, byMonths, 3);
  const days = int64Operand(context, byDays, 4);
  if (Math.abs(years) > MAX_YEARS || Math.abs(months) > 12 * MAX_YEARS || Math.abs(days) > 366 * MAX_YEARS) {
    return inRange(context, undefined);
  }
  const civil = toCivil(time);
  const moved = { ...civil, year: civil.year + years, month: civil.month + months, day: civil.day + days };
  return inRange(context, toUnixNs(fromCivil(moved, time.zone), time.nanos));
}

/** Years, months, days, hours, minutes and seconds from the earlier to the later, on the first one's clock. */
function difference(first: ZonedTime, second: ZonedTime): readonly number[] {
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
  return parts;
}
