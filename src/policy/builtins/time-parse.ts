import { daysFromCivil, toUnixNs } from './civil-time.ts';
import { type Field, type LayoutPiece, MONTHS, type OffsetField, parseLayout, WEEKDAYS } from './go-layout.ts';
import { quoteBytes } from './quote-bytes.ts';

/** Why a text is no time: what is out of range, or which element of the layout does not fit from where on. */
export interface TimeFault {
  readonly wrong?: string;
  readonly at: number;
  readonly element?: string;
}

/** Nanoseconds since 1970 of a text that a Go layout describes. */
export function parseTime(layout: string, text: string): bigint | TimeFault {
  const pieces = parseLayout(layout);
  const found: Found = { year: 0, hour: 0, minute: 0, second: 0, nanos: 0, pm: undefined, offset: undefined };
  const reader: Reader = { text, at: 0, wrong: undefined };
  for (const [position, piece] of pieces.entries()) {
    const from = reader.at;
    if (readPiece(reader, piece, pieces[position + 1], found)) continue;
    if (reader.wrong !== undefined) return { wrong: `${reader.wrong} out of range`, at: from };
    return { at: piece.kind === 'text' ? reader.at : from, element: elementOf(piece) };
  }
  if (reader.at !== text.length) return { wrong: `extra text: ${quoteBytes(text.slice(reader.at))}`, at: reader.at };
  return toNs(found);
}

function elementOf(piece: LayoutPiece): string {
  if (piece.kind === 'field') return piece.field;
  return piece.kind === 'text' ? piece.text : piece.mark + (piece.trimmed ? '9' : '0').repeat(piece.digits);
}

interface Reader {
  readonly text: string;
  at: number;
  /** The field that holds what no clock or calendar shows. */
  wrong: string | undefined;
}

interface Found {
  year: number;
  month?: number;
  day?: number;
  dayOfYear?: number;
  hour: number;
  minute: number;
  second: number;
  nanos: number;
  pm: boolean | undefined;
  offset: number | undefined;
}

function readPiece(reader: Reader, piece: LayoutPiece, next: LayoutPiece | undefined, found: Found): boolean {
  switch (piece.kind) {
    case 'text':
      return skipText(reader, piece.text);
    case 'fraction':
      return readFraction(reader, piece, found);
    case 'field':
      return readField(reader, piece.field, found) && readImpliedFraction(reader, piece.field, next, found);
  }
}

/** A run of spaces in the layout matches any run of them, also none. */
function skipText(reader: Reader, text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (text[index] === ' ') {
      if (reader.at < reader.text.length && reader.text[reader.at] !== ' ') return false;
      while (text[index + 1] === ' ') index++;
      while (reader.text[reader.at] === ' ') reader.at++;
    } else if (reader.text[reader.at] === text[index]) reader.at++;
    else return false;
  }
  return true;
}

function readFraction(reader: Reader, piece: LayoutPiece & { kind: 'fraction' }, found: Found): boolean {
  const mark = reader.text[reader.at];
  if (piece.trimmed) {
    // It may be missing; where it is there it takes all digits.
    if ((mark === '.' || mark === ',') && /[0-9]/.test(reader.text.charAt(reader.at + 1)))
      return takeFraction(reader, found);
    return true;
  }
  if (mark !== '.' && mark !== ',') return false;
  const digits = reader.text.slice(reader.at + 1, reader.at + 1 + piece.digits);
  if (digits.length !== piece.digits || !/^[0-9]+$/.test(digits)) return false;
  found.nanos = Number(digits.slice(0, 9).padEnd(9, '0'));
  reader.at += 1 + piece.digits;
  return true;
}

/** Seconds may be followed by a fraction of which the layout says nothing. */
function readImpliedFraction(reader: Reader, field: Field, next: LayoutPiece | undefined, found: Found): boolean {
  if ((field !== '05' && field !== '5') || next?.kind === 'fraction') return true;
  const mark = reader.text[reader.at];
  if ((mark !== '.' && mark !== ',') || !/[0-9]/.test(reader.text.charAt(reader.at + 1))) return true;
  return takeFraction(reader, found);
}

function takeFraction(reader: Reader, found: Found): boolean {
  let end = reader.at + 1;
  while (/[0-9]/.test(reader.text.charAt(end))) end++;
  found.nanos = Number(
    reader.text
      .slice(reader.at + 1, end)
      .slice(0, 9)
      .padEnd(9, '0'),
  );
  reader.at = end;
  return true;
}

function readField(reader: Reader, field: Field, found: Found): boolean {
  switch (field) {
    case '2006':
      return readNumber(reader, 4, 4, (value) => (found.year = value));
    case '06':
      return readNumber(reader, 2, 2, (value) => (found.year = value >= 69 ? value + 1900 : value + 2000));
    case 'January':
      return readName(reader, MONTHS, false, (index) => (found.month = index + 1));
    case 'Jan':
      return readName(reader, MONTHS, true, (index) => (found.month = index + 1));
    case '01':
      return (
        readNumber(reader, 2, 2, (value) => (found.month = value)) && within(reader, 'month', found.month ?? 0, 1, 12)
      );
    case '1':
      return (
        readNumber(reader, 1, 2, (value) => (found.month = value)) && within(reader, 'month', found.month ?? 0, 1, 12)
      );
    case 'Monday':
      return readName(reader, WEEKDAYS, false, () => undefined);
    case 'Mon':
      return readName(reader, WEEKDAYS, true, () => undefined);
    case '_2':
    case '2':
    case '02':
      if (field === '_2' && reader.text[reader.at] === ' ') reader.at++;
      return readNumber(reader, field === '02' ? 2 : 1, 2, (value) => (found.day = value));
    case '__2':
    case '002':
      for (let spaces = 0; field === '__2' && spaces < 2 && reader.text[reader.at] === ' '; spaces++) reader.at++;
      return readNumber(reader, field === '002' ? 3 : 1, 3, (value) => (found.dayOfYear = value));
    case '15':
      return readNumber(reader, 1, 2, (value) => (found.hour = value)) && within(reader, 'hour', found.hour, 0, 23);
    case '3':
    case '03':
      return (
        readNumber(reader, field === '03' ? 2 : 1, 2, (value) => (found.hour = value)) &&
        within(reader, 'hour', found.hour, 0, 12)
      );
    case '4':
    case '04':
      return (
        readNumber(reader, field === '04' ? 2 : 1, 2, (value) => (found.minute = value)) &&
        within(reader, 'minute', found.minute, 0, 59)
      );
    case '5':
    case '05':
      return (
        readNumber(reader, field === '05' ? 2 : 1, 2, (value) => (found.second = value)) &&
        within(reader, 'second', found.second, 0, 59)
      );
    case 'PM':
    case 'pm': {
      const half = reader.text.slice(reader.at, reader.at + 2);
      const [am, pm] = field === 'PM' ? ['AM', 'PM'] : ['am', 'pm'];
      if (half !== am && half !== pm) return false;
      found.pm = half === pm;
      reader.at += 2;
      return true;
    }
    case 'MST':
      return readAbbreviation(reader, found);
    case 'Z07:00:00':
    case 'Z07:00':
    case 'Z070000':
    case 'Z0700':
    case 'Z07':
    case '-07:00:00':
    case '-07:00':
    case '-070000':
    case '-0700':
    case '-07':
      return readOffset(reader, field, found);
  }
}

function readNumber(reader: Reader, least: number, most: number, set: (value: number) => unknown): boolean {
  let end = reader.at;
  while (end - reader.at < most && /[0-9]/.test(reader.text.charAt(end))) end++;
  if (end - reader.at < least) return false;
  set(Number(reader.text.slice(reader.at, end)));
  reader.at = end;
  return true;
}

function within(reader: Reader, name: string, value: number, least: number, most: number): boolean {
  if (value >= least && value <= most) return true;
  reader.wrong = name;
  return false;
}

function readName(reader: Reader, names: readonly string[], short: boolean, set: (index: number) => unknown): boolean {
  const rest = reader.text.slice(reader.at, reader.at + 9).toLowerCase();
  const index = names.findIndex((name) => rest.startsWith((short ? name.slice(0, 3) : name).toLowerCase()));
  const name = names[index];
  if (name === undefined) return false;
  reader.at += short ? 3 : name.length;
  set(index);
  return true;
}

/** Three to five capitals, or a number of hours. An abbreviation names a clock but does not move it, as in Go. */
const ABBREVIATION =
  /UTC|ChST|MeST|GMT(?:[+-]0*(?:[01]?[0-9]|2[0-3])(?![0-9]))?|[+-]0*(?:[01]?[0-9]|2[0-3])(?![0-9])|(?:[A-Z]{4}T|[A-Z]{3}T|WITA|[A-Z]{3})(?![A-Z])/y;

function readAbbreviation(reader: Reader, found: Found): boolean {
  ABBREVIATION.lastIndex = reader.at;
  const name = ABBREVIATION.exec(reader.text)?.[0];
  // So short a rest is never looked at.
  if (name === undefined || reader.text.length - reader.at < 3) return false;
  found.offset = 0;
  reader.at += name.length;
  return true;
}

function readOffset(reader: Reader, field: OffsetField, found: Found): boolean {
  if (field.startsWith('Z') && reader.text[reader.at] === 'Z') {
    found.offset = 0;
    reader.at++;
    return true;
  }
  const shape = field.replace(/^[Z-]/, '');
  const text = reader.text.slice(reader.at, reader.at + 1 + shape.length);
  if (text.length !== 1 + shape.length || !/^[+-][0-9]{2}(?::?[0-9]{2}){0,2}$/.test(text)) return false;
  if (text.slice(1).replace(/[0-9]/g, '') !== shape.replace(/[0-9]/g, '')) return false;
  const [hours = 0, minutes = 0, seconds = 0] = (text.slice(1).match(/[0-9]{2}/g) ?? []).map(Number);
  if (!within(reader, 'time zone offset hour', hours, 0, 24)) return false;
  if (!within(reader, 'time zone offset minute', minutes, 0, 60)) return false;
  if (!within(reader, 'time zone offset second', seconds, 0, 60)) return false;
  found.offset = (text.startsWith('-') ? -1 : 1) * (hours * 3_600 + minutes * 60 + seconds);
  reader.at += text.length;
  return true;
}

function toNs(found: Found): bigint | TimeFault {
  const { year, pm } = found;
  let { month, day, hour } = found;
  if (pm === true && hour < 12) hour += 12;
  else if (pm === false && hour === 12) hour = 0;
  if (found.dayOfYear !== undefined) {
    const ordinal = fromDayOfYear(year, found.dayOfYear);
    if (ordinal === undefined) return { wrong: 'day-of-year out of range', at: 0 };
    if (month !== undefined && month !== ordinal.month) {
      return { wrong: 'day-of-year does not match month', at: 0 };
    }
    if (day !== undefined && day !== ordinal.day) return { wrong: 'day-of-year does not match day', at: 0 };
    ({ month, day } = ordinal);
  }
  month ??= 1;
  day ??= 1;
  if (day < 1 || day > daysIn(year, month)) return { wrong: 'day out of range', at: 0 };
  const seconds = daysFromCivil(year, month, day) * 86_400 + hour * 3_600 + found.minute * 60 + found.second;
  // Go takes an offset of -1 second for none.
  return toUnixNs(seconds - (found.offset === undefined || found.offset === -1 ? 0 : found.offset), found.nanos);
}

function daysIn(year: number, month: number): number {
  return daysFromCivil(year, month + 1, 1) - daysFromCivil(year, month, 1);
}

function fromDayOfYear(year: number, dayOfYear: number): { readonly month: number; readonly day: number } | undefined {
  let rest = dayOfYear;
  if (rest < 1) return undefined;
  for (let month = 1; month <= 12; month++) {
    const days = daysIn(year, month);
    if (rest <= days) return { month, day: rest };
    rest -= days;
  }
  return undefined;
}
