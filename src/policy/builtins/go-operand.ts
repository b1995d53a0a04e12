import { workOf } from '../values/arithmetic.ts';
import { isNumber, numberText } from '../values/number.ts';
import type { Value } from '../values/value.ts';
import { advance } from './code-points.ts';
import { formatGoFloat } from './go-float-verb.ts';
import { formatBigInteger, formatInteger } from './go-integer-verb.ts';
import { pad, type Spec } from './go-spec.ts';
import { quoteGo, type SourceBudget, toRegoSource } from './rego-source.ts';

/** What `fmt` is given by OPA for a value. */
export type GoOperand =
  | { readonly kind: 'int64' | '*big.Int'; readonly value: bigint }
  | { readonly kind: 'float64'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string };

const INT64_END = 2n ** 63n;

/** Numbers with a point or an exponent are floats; all that is neither number nor text is its Rego source. */
export function toOperand(value: Value, budget: SourceBudget): GoOperand {
  if (typeof value === 'string') return { kind: 'string', value };
  if (!isNumber(value)) return { kind: 'string', value: toRegoSource(value, budget) };
  const text = numberText(value);
  if (/[.eE]/.test(text)) {
    const float = Number(text);
    return Number.isFinite(float) ? { kind: 'float64', value: float } : { kind: 'string', value: text };
  }
  if (typeof value !== 'number') budget.charge(workOf(value));
  const integer = BigInt(text);
  return { kind: integer >= -INT64_END && integer < INT64_END ? 'int64' : '*big.Int', value: integer };
}

/** `type=value`, for operands that no verb has used, or that a verb cannot use. */
export function describeOperand(operand: GoOperand, spec: Spec): string {
  return `${operand.kind}=${formatOperand(operand, 'v', spec)}`;
}

/**
 * One operand by one verb; a verb that does not go with it yields Go's `%!verb(type=value)`. Go's own insides, which it
 * shows of a large integer for `%w` and `%p`, are not shown.
 */
export function formatOperand(operand: GoOperand, verb: string, spec: Spec): string {
  if (verb === 'T') return pad(cut(operand.kind, spec), spec);
  if (verb === 'p') return badVerb(operand, verb, spec);
  switch (operand.kind) {
    case 'int64':
      return formatInteger(operand.value, verb, spec) ?? badVerb(operand, verb, spec);
    case '*big.Int':
      return formatBigInteger(operand.value, verb, spec) ?? `%!${verb}(big.Int=${operand.value})`;
    case 'float64':
      return formatGoFloat(operand.value, verb, spec) ?? badVerb(operand, verb, spec);
    case 'string':
      return formatText(operand.value, verb, spec) ?? badVerb(operand, verb, spec);
  }
}

function badVerb(operand: GoOperand, verb: string, spec: Spec): string {
  return `%!${verb}(${describeOperand(operand, spec)})`;
}

/** What cannot stand between backquotes: controls but for the tab, and those beyond ASCII, the quote and the BOM. */
const UNQUOTABLE = /(?![\t\u0080-\u009f])[\p{Cc}`\ufeff]/u;

function formatText(value: string, verb: string, spec: Spec): string | undefined {
  switch (verb) {
    case 'v':
      return spec.sharpV ? pad(quoteGo(cut(value, spec), '"', false), spec) : pad(cut(value, spec), spec);
    case 's':
      return pad(cut(value, spec), spec);
    case 'q': {
      const text = cut(value, spec);
      if (spec.sharp && !UNQUOTABLE.test(text)) return pad(`\`${text}\``, spec);
      return pad(quoteGo(text, '"', spec.plus), spec);
    }
    case 'x':
      return pad(hexText(value, spec), spec);
    case 'X':
      return pad(hexText(value, spec).toUpperCase(), spec);
    default:
      return undefined;
  }
}

function cut(value: string, { precision }: Spec): string {
  return precision === undefined ? value : value.slice(0, advance(value, 0, precision));
}

function hexText(value: string, { precision, sharp, space }: Spec): string {
  const hex = Buffer.from(value).subarray(0, precision).toString('hex');
  if (hex === '') return '';
  const prefix = sharp ? '0x' : '';
  return prefix + (space ? hex.replace(/..(?=.)/g, `$& ${prefix}`) : hex);
}
