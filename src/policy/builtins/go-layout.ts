import { GenerationCache } from './generation-cache.ts';

/** The pieces of a Go time layout: what stands for a field of `Mon Jan 2 15:04:05 MST 2006`, and the text between. */
export type LayoutPiece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'field'; readonly field: Field }
  /** `.000` or `.999`; the mark may be a comma. */
  | { readonly kind: 'fraction'; readonly digits: number; readonly trimmed: boolean; readonly mark: string };

export type Field = (typeof FIELDS)[number];

/** The fields that say how far a clock is ahead of UTC. */
export type OffsetField = Extract<Field, `Z0${string}` | `-0${string}`>;

/** Longer ones first, so that the first that fits is the right one. */
const FIELDS = [
  'January',
  'Jan',
  'Monday',
  'Mon',
  'MST',
  '2006',
  '002',
  '01',
  '02',
  '03',
  '04',
  '05',
  '06',
  '15',
  '1',
  '__2',
  '_2',
  '2',
  '3',
  '4',
  '5',
  'PM',
  'pm',
  'Z07:00:00',
  'Z07:00',
  'Z070000',
  'Z0700',
  'Z07',
  '-07:00:00',
  '-07:00',
  '-070000',
  '-0700',
  '-07',
] as const;

const BY_FIRST = new Map<string, readonly Field[]>();
for (const field of FIELDS) BY_FIRST.set(field.charAt(0), [...(BY_FIRST.get(field.charAt(0)) ?? []), field]);

/** The layouts that OPA knows by name. */
export const NAMED_LAYOUTS: ReadonlyMap<string, string> = new Map([
  ['ANSIC', 'Mon Jan _2 15:04:05 2006'],
  ['UnixDate', 'Mon Jan _2 15:04:05 MST 2006'],
  ['RubyDate', 'Mon Jan 02 15:04:05 -0700 2006'],
  ['RFC822', '02 Jan 06 15:04 MST'],
  ['RFC822Z', '02 Jan 06 15:04 -0700'],
  ['RFC850', 'Monday, 02-Jan-06 15:04:05 MST'],
  ['RFC1123', 'Mon, 02 Jan 2006 15:04:05 MST'],
  ['RFC1123Z', 'Mon, 02 Jan 2006 15:04:05 -0700'],
  ['RFC3339', '2006-01-02T15:04:05Z07:00'],
  ['RFC3339Nano', '2006-01-02T15:04:05.999999999Z07:00'],
]);

const known = new GenerationCache<readonly LayoutPiece[]>(256, 128);

/** Cuts a layout into its pieces; those of short layouts are kept. */
export function parseLayout(layout: string): readonly LayoutPiece[] {
  const before = known.get(layout);
  if (before !== undefined) return before;
  const pieces = cutLayout(layout);
  known.set(layout, pieces);
  return pieces;
}

function cutLayout(layout: string): readonly LayoutPiece[] {
  const pieces: LayoutPiece[] = [];
  let text = '';
  const push = (piece: LayoutPiece): void => {
    if (text !== '') pieces.push({ kind: 'text', text });
    text = '';
    pieces.push(piece);
  };
  for (let at = 0; at < layout.length; ) {
    const fraction = fractionAt(layout, at);
    if (fraction !== undefined) {
      push(fraction);
      at += fraction.digits + 1;
      continue;
    }
    const field = fieldAt(layout, at);
    if (field === undefined) {
      text += layout.charAt(at++);
      continue;
    }
    push({ kind: 'field', field });
    at += field.length;
  }
  if (text !== '') pieces.push({ kind: 'text', text });
  return pieces;
}

function fieldAt(layout: string, at: number): Field | undefined {
  for (const field of BY_FIRST.get(layout.charAt(at)) ?? []) {
    if (!layout.startsWith(field, at)) continue;
    // `Jan` and `Mon` are fields only where no further small letter makes another word of them.
    if ((field === 'Jan' || field === 'Mon') && /[a-z]/.test(layout.charAt(at + 3))) continue;
    // `_2006` is an underscore and a year.
    if (field === '_2' && layout.startsWith('006', at + 2)) return undefined;
    return field;
  }
  return undefined;
}

function fractionAt(layout: string, at: number): (LayoutPiece & { kind: 'fraction' }) | undefined {
  const mark = layout.charAt(at);
  const digit = layout.charAt(at + 1);
  if ((mark !== '.' && mark !== ',') || (digit !== '0' && digit !== '9')) return undefined;
  let end = at + 1;
  while (layout.charAt(end) === digit) end++;
  // A run that goes on with another digit is no fraction.
  if (/[0-9]/.test(layout.charAt(end))) return undefined;
  return { kind: 'fraction', digits: end - at - 1, trimmed: digit === '9', mark };
}

export const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const;

export const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const;
