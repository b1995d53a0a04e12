import { RegoNumber, type RegoValue } from '../rego-value.ts';
import { formatDecimal, formatExponent, formatShortest } from './go-float.ts';
import { quoteGo, toRegoSource } from './rego-source.ts';

/** What stands between `%` and the verb. */
export interface Flags {
  plus: boolean;
  minus: boolean;
  sharp: boolean;
  space: boolean;
  zero: boolean;
}

export interface Spec extends Readonly<Flags> {
  readonly width: number | undefined;
  readonly precision: number | undefined;
}

/** What `fmt` is given by OPA for a value. */
export type GoOperand =
  | { readonly kind: 'integer'; readonly type: 'int64' | '*big.Int'; readonly value: bigint }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string };

const INT64_END = 2n ** 63n;

/** Numbers with a point or an exponent are floats; all that is neither number nor text is its Rego source. */
export function toOperand(value: RegoValue): GoOperand {
  if (typeof value === 'string') return { kind: 'string', value };
  if (!(value instanceof RegoNumber)) return { kind: 'string', value: toRegoSource(value) };
  const { text } = value;
  if (/[.eE]/.test(text)) {
    const float = Number(text);
    return Number.isFinite(float) ? { kind: 'float', value: float } : { kind: 'string', value: text };
  }
  const integer = BigInt(text);
  return { kind: 'integer', type: integer >= -INT64_END && integer < INT64_END ? 'int64' : '*big.Int', value: integer };
}

/** What cannot stand between backquotes. */
const UNQUOTABLE = /[`\p{Cc}\ufeff]/u;

const PLAIN: Spec = {
  plus: false,
  minus: false,
  sharp: false,
  space: false,
  zero: false,
  width: undefined,
  precision: undefined,
};

/** `type=value`, for operands that no verb has used. */
export function describe(operand: GoOperand): string {
  return `${typeName(operand)}=${formatOperand(operand, 'v', PLAIN)}`;
}

function typeName(operand: GoOperand): string {
  switch (operand.kind) {
    case 'integer':
      return operand.type;
    case 'float':
      return 'float64';
    case 'string':
      return 'string';
  }
}

/** One operand by one verb; a verb that does not go with it yields Go's `%!verb(type=value)`. */
export function formatOperand(operand: GoOperand, verb: string, spec: Spec): string {
  if (verb === 'T') return pad(typeName(operand), spec);
  const text =
    operand.kind === 'integer'
      ? formatInteger(operand.value, operand.type, verb, spec)
      : operand.kind === 'float'
        ? formatFloat(operand.value, verb, spec)
        : formatString(operand.value, verb, spec);
  return text ?? `%!${verb}(${describe(operand)})`;
}

function formatInteger(value: bigint, type: 'int64' | '*big.Int', verb: string, spec: Spec): string | undefined {
  switch (verb) {
    case 'v':
    case 'd':
      return integerText(value, 10, '', spec);
    case 's':
      return type === '*big.Int' ? integerText(value, 10, '', spec) : undefined;
    case 'b':
      return integerText(value, 2, spec.sharp ? '0b' : '', spec);
    case 'o':
      return integerText(value, 8, spec.sharp ? '0' : '', spec);
    case 'O':
      return integerText(value, 8, '0o', spec);
    case 'x':
      return integerText(value, 16, spec.sharp ? '0x' : '', spec);
    case 'X':
      return integerText(value, 16, spec.sharp ? '0X' : '', spec).toUpperCase();
    case 'c':
    case 'q':
    case 'U':
      return type === 'int64' ? formatCodePoint(value, verb, spec) : undefined;
    default:
      return undefined;
  }
}

function integerText(value: bigint, radix: number, prefix: string, spec: Spec): string {
  const negative = value < 0n;
  const sign = negative ? '-' : spec.plus ? '+' : spec.space ? ' ' : '';
  let digits = (negative ? -value : value).toString(radix);
  if (spec.precision !== undefined) {
    if (spec.precision === 0 && value === 0n) return pad('', { ...spec, zero: false });
    digits = digits.padStart(spec.precision, '0');
  } else if (spec.zero && spec.width !== undefined && !spec.minus) {
    // The width counts the sign, but not a prefix.
    digits = digits.padStart(spec.width - sign.length, '0');
  }
  return pad(`${sign}${prefix}${digits}`, { ...spec, zero: false });
}

function formatCodePoint(value: bigint, verb: 'c' | 'q' | 'U', spec: Spec): string {
  const valid = value >= 0n && value <= 0x10ffffn && !(value >= 0xd800n && value <= 0xdfffn);
  const character = valid ? String.fromCodePoint(Number(value)) : '\ufffd';
  if (verb === 'c') return pad(character, spec);
  if (verb === 'q') return pad(quoteGo(character, "'", spec.plus), spec);
  const hex = BigInt.asUintN(64, value)
    .toString(16)
    .toUpperCase()
    .padStart(Math.max(4, spec.precision ?? 0), '0');
  return pad(spec.sharp && valid ? `U+${hex} '${character}'` : `U+${hex}`, { ...spec, zero: false });
}

function formatFloat(value: number, verb: string, spec: Spec): string | undefined {
  const digits = floatDigits(Math.abs(value), verb, spec);
  if (digits === undefined) return undefined;
  const negative = value < 0 || Object.is(value, -0);
  const sign = negative ? '-' : spec.plus ? '+' : spec.space ? ' ' : '';
  if (!spec.zero || spec.minus || spec.width === undefined) return pad(sign + digits, { ...spec, zero: false });
  return sign + digits.padStart(spec.width - sign.length, '0');
}

function floatDigits(value: number, verb: string, { precision }: Spec): string | undefined {
  switch (verb) {
    case 'v':
      return formatShortest(value, undefined);
    case 'g':
    case 'G': {
      const text = formatShortest(value, precision);
      return verb === 'G' ? text.toUpperCase() : text;
    }
    case 'f':
    case 'F':
      return formatDecimal(value, precision ?? 6);
    case 'e':
      return formatExponent(value, precision ?? 6);
    case 'E':
      return formatExponent(value, precision ?? 6).toUpperCase();
    default:
      return undefined;
  }
}

function formatString(value: string, verb: string, spec: Spec): string | undefined {
  const cut = spec.precision === undefined ? value : Array.from(value).slice(0, spec.precision).join('');
  switch (verb) {
    case 'v':
      return pad(spec.sharp ? quoteGo(cut, '"', false) : cut, spec);
    case 's':
      return pad(cut, spec);
    case 'q':
      if (spec.sharp && !UNQUOTABLE.test(cut)) return pad(`\`${cut}\``, spec);
      return pad(quoteGo(cut, '"', spec.plus), spec);
    case 'x':
    case 'X':
      return pad(hexText(value, verb, spec), { ...spec, zero: spec.zero });
    default:
      return undefined;
  }
}

function hexText(value: string, verb: 'x' | 'X', { precision, sharp, space }: Spec): string {
  const bytes = Buffer.from(value);
  const pairs = [...bytes.subarray(0, precision ?? bytes.length)].map((byte) => byte.toString(16).padStart(2, '0'));
  const prefix = sharp ? '0x' : '';
  const text = space ? pairs.map((pair) => prefix + pair).join(' ') : pairs.length > 0 ? prefix + pairs.join('') : '';
  return verb === 'X' ? text.toUpperCase() : text;
}

/** Widths count code points. */
function pad(text: string, { width, minus, zero }: Spec): string {
  if (width === undefined) return text;
  const missing = width - Array.from(text).length;
  if (missing <= 0) return text;
  return minus ? text + ' '.repeat(missing) : (zero ? '0' : ' ').repeat(missing) + text;
}
