import { type Civil, toCivil, type ZonedTime } from './civil-time.ts';
import { type Field, type LayoutPiece, MONTHS, type OffsetField, parseLayout, WEEKDAYS } from './go-layout.ts';

/** A time by a Go layout; `undefined` when the layout asks for a zone's abbreviation that the platform does not know. */
export function formatTime(time: ZonedTime, layout: string): string | undefined {
  const civil = toCivil(time);
  let out = '';
  for (const piece of parseLayout(layout)) {
    const text = formatPiece(piece, time, civil);
    if (text === undefined) return undefined;
    out += text;
  }
  return out;
}

function formatPiece(piece: LayoutPiece, time: ZonedTime, civil: Civil): string | undefined {
  switch (piece.kind) {
    case 'text':
      return piece.text;
    case 'fraction': {
      const digits = String(time.nanos).padStart(9, '0').padEnd(piece.digits, '0').slice(0, piece.digits);
      if (!piece.trimmed) return piece.mark + digits;
      const trimmed = digits.replace(/0+$/, '');
      return trimmed === '' ? '' : piece.mark + trimmed;
    }
    case 'field':
      return formatField(piece.field, time, civil);
  }
}

function formatField(field: Field, time: ZonedTime, civil: Civil): string | undefined {
  switch (field) {
    case 'January':
      return MONTHS[civil.month - 1];
    case 'Jan':
      return MONTHS[civil.month - 1]?.slice(0, 3);
    case 'Monday':
      return WEEKDAYS[civil.weekday];
    case 'Mon':
      return WEEKDAYS[civil.weekday]?.slice(0, 3);
    case 'MST':
      return time.zone.abbreviationAt(time.seconds);
    case '2006':
      return civil.year < 0 ? `-${padded(-civil.year, 4)}` : padded(civil.year, 4);
    case '06':
      return padded(((civil.year % 100) + 100) % 100, 2);
    case '01':
      return padded(civil.month, 2);
    case '1':
      return String(civil.month);
    case '02':
      return padded(civil.day, 2);
    case '_2':
      return String(civil.day).padStart(2);
    case '2':
      return String(civil.day);
    case '__2':
      return String(civil.dayOfYear).padStart(3);
    case '002':
      return padded(civil.dayOfYear, 3);
    case '15':
      return padded(civil.hour, 2);
    case '03':
      return padded(civil.hour % 12 || 12, 2);
    case '3':
      return String(civil.hour % 12 || 12);
    case '04':
      return padded(civil.minute, 2);
    case '4':
      return String(civil.minute);
    case '05':
      return padded(civil.second, 2);
    case '5':
      return String(civil.second);
    case 'PM':
      return civil.hour >= 12 ? 'PM' : 'AM';
    case 'pm':
      return civil.hour >= 12 ? 'pm' : 'am';
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
      return formatOffset(field, time.offsetSeconds);
  }
}

function padded(value: number, width: number): string {
  return String(value).padStart(width, '0');
}

/** `Z07:00` and its kin: a `Z` for UTC where the layout begins with one. */
function formatOffset(field: OffsetField, offsetSeconds: number): string {
  if (field.startsWith('Z') && offsetSeconds === 0) return 'Z';
  const size = Math.abs(offsetSeconds);
  const colon = field.includes(':') ? ':' : '';
  const digits = field.replace(/[^0-9]/g, '').length;
  let text = (offsetSeconds < 0 ? '-' : '+') + padded(Math.floor(size / 3_600), 2);
  if (digits >= 4) text += colon + padded(Math.floor(size / 60) % 60, 2);
  if (digits >= 6) text += colon + padded(size % 60, 2);
  return text;
}
