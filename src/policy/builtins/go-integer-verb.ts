import { pad, type Spec } from './go-spec.ts';
import { PRINTABLE, quoteGo } from './rego-source.ts';

/** An integer of 64 bits by a verb of Go's; `undefined` for a verb that does not go with it. */
export function formatInteger(value: bigint, verb: string, spec: Spec): string | undefined {
  switch (verb) {
    case 'v':
    case 'd':
      return integerText(value, 10, '', spec);
    case 'b':
      return integerText(value, 2, spec.sharp ? '0b' : '', spec);
    case 'o':
      return integerText(value, 8, spec.sharp ? '0' : '', spec);
    case 'O':
      return integerText(value, 8, spec.sharp ? '0o0' : '0o', spec);
    case 'x':
      return integerText(value, 16, spec.sharp ? '0x' : '', spec);
    case 'X':
      return integerText(value, 16, spec.sharp ? '0X' : '', spec).toUpperCase();
    case 'c':
      return pad(characterOf(value), spec);
    case 'q':
      return pad(quoteGo(characterOf(value), "'", spec.plus), spec);
    case 'U':
      return codePointText(value, spec);
    default:
      return undefined;
  }
}

function integerText(value: bigint, radix: number, prefix: string, spec: Spec): string {
  const { precision, width } = spec;
  if (precision === 0 && value === 0n) return ' '.repeat(width ?? 0);
  const sign = signOf(value, spec.plus, spec.space);
  let digits = magnitude(value).toString(radix);
  // The width counts the sign, but not a prefix.
  const least = precision ?? (spec.zero && !spec.minus && width !== undefined ? width - sign.length : 0);
  digits = digits.padStart(least, '0');
  // The zero that says octal is not written twice.
  const shown = radix === 8 && prefix.endsWith('0') && digits.startsWith('0') ? prefix.slice(0, -1) : prefix;
  return pad(`${sign}${shown}${digits}`, { ...spec, zero: false });
}

const VERBS_OF_BIG: ReadonlyMap<string, readonly [radix: number, sharpPrefix: string]> = new Map([
  ['d', [10, '']],
  ['s', [10, '']],
  ['v', [10, '']],
  ['b', [2, '0b']],
  ['o', [8, '0']],
  ['O', [8, '0o']],
  ['x', [16, '0x']],
  ['X', [16, '0X']],
]);

/** A larger integer, which Go formats by rules of its own: the width counts the prefix. */
export function formatBigInteger(value: bigint, verb: string, spec: Spec): string | undefined {
  const known = VERBS_OF_BIG.get(verb);
  if (known === undefined) return undefined;
  const [radix, sharpPrefix] = known;
  const sign = signOf(value, spec.plus || spec.plusV, spec.space);
  const prefix = spec.sharp || spec.sharpV || verb === 'O' ? sharpPrefix : '';
  let digits = magnitude(value).toString(radix);
  if (verb === 'X') digits = digits.toUpperCase();
  if (spec.precision !== undefined) digits = digits.padStart(spec.precision, '0');
  else if (spec.zero && !spec.minus) digits = digits.padStart((spec.width ?? 0) - sign.length - prefix.length, '0');
  return pad(sign + prefix + digits, { ...spec, zero: false });
}

function signOf(value: bigint, plus: boolean, space: boolean): string {
  return value < 0n ? '-' : plus ? '+' : space ? ' ' : '';
}

function magnitude(value: bigint): bigint {
  return value < 0n ? -value : value;
}

function isCodePoint(value: bigint): boolean {
  return value >= 0n && value <= 0x10ffffn && !(value >= 0xd800n && value <= 0xdfffn);
}

function characterOf(value: bigint): string {
  return isCodePoint(value) ? String.fromCodePoint(Number(value)) : '\ufffd';
}

function codePointText(value: bigint, spec: Spec): string {
  const digits = BigInt.asUintN(64, value).toString(16).toUpperCase();
  const text = `U+${digits.padStart(Math.max(4, spec.precision ?? 0), '0')}`;
  const character = characterOf(value);
  const shown = spec.sharp && isCodePoint(value) && PRINTABLE.test(character);
  return pad(shown ? `${text} '${character}'` : text, { ...spec, zero: false });
}
