import type { Value } from '../values/value.ts';
import type { BuiltinContext } from './builtin.ts';
import { describeOperand, formatOperand, type GoOperand, toOperand } from './go-operand.ts';
import { plainSpec, type Spec } from './go-spec.ts';
import { boundText, chargeText } from './operands.ts';

/**
 * Go's `fmt.Sprintf` for what OPA hands to it: integers, floats, texts, and everything else as Rego source text. Widths
 * count towards the longest text that is made; each operand and the result are charged.
 */
export function formatGo(context: BuiltinContext, format: string, values: readonly Value[]): string {
  const operands = values.map((value) => toOperand(value, context));
  const state: State = { format, operands, at: 0, next: 0, reordered: false, goodIndex: true };
  let out = '';
  let charged = 0;
  while (state.at < format.length) {
    const percent = format.indexOf('%', state.at);
    if (percent < 0) {
      out += format.slice(state.at);
      break;
    }
    out += format.slice(state.at, percent);
    state.at = percent + 1;
    out += formatOne(context, state);
    boundText(context, out.length);
    chargeText(context, out.length - charged);
    charged = out.length;
  }
  if (!state.reordered && state.next < operands.length) {
    const extra = operands.slice(state.next).map((operand) => describeOperand(operand, plainSpec()));
    out += `%!(EXTRA ${extra.join(', ')})`;
  }
  chargeText(context, out.length);
  return out;
}

interface State {
  readonly format: string;
  readonly operands: readonly GoOperand[];
  at: number;
  /** The operand that comes next. */
  next: number;
  reordered: boolean;
  goodIndex: boolean;
}

/** What stands behind a `%`. */
function formatOne(context: BuiltinContext, state: State): string {
  const { format, operands } = state;
  const spec = plainSpec();
  let faults = '';
  state.goodIndex = true;
  readFlags(state, spec);
  let afterIndex = readIndex(state);
  if (format[state.at] === '*') {
    spec.width = readStar(state);
    if (spec.width === undefined) faults += '%!(BADWIDTH)';
    else if (spec.width < 0) {
      spec.width = -spec.width;
      spec.minus = true;
      spec.zero = false;
    }
    afterIndex = false;
  } else {
    spec.width = readCount(state);
    if (afterIndex && spec.width !== undefined) state.goodIndex = false;
  }
  if (format[state.at] === '.' && state.at + 1 < format.length) {
    state.at++;
    if (afterIndex) state.goodIndex = false;
    afterIndex = readIndex(state);
    if (format[state.at] === '*') {
      spec.precision = readStar(state);
      if (spec.precision !== undefined && spec.precision < 0) spec.precision = undefined;
      if (spec.precision === undefined) faults += '%!(BADPREC)';
      afterIndex = false;
    } else {
      spec.precision = readCount(state) ?? 0;
    }
  }
  if (!afterIndex) readIndex(state);
  if (state.at >= format.length) return `${faults}%!(NOVERB)`;
  const verb = String.fromCodePoint(format.codePointAt(state.at) ?? 0);
  state.at += verb.length;
  if (verb === '%') return `${faults}%`;
  if (!state.goodIndex) return `${faults}%!${verb}(BADINDEX)`;
  const operand = operands[state.next];
  if (operand === undefined) return `${faults}%!${verb}(MISSING)`;
  state.next++;
  if (verb === 'v' || verb === 'w') {
    spec.sharpV = spec.sharp;
    spec.plusV = spec.plus;
    spec.sharp = false;
    spec.plus = false;
  }
  chargeText(context, (spec.width ?? 0) + (spec.precision ?? 0));
  return faults + formatOperand(operand, verb, spec);
}

function readFlags(state: State, spec: Spec): void {
  for (; ; state.at++) {
    switch (state.format.charAt(state.at)) {
      case '+':
        spec.plus = true;
        break;
      case '-':
        spec.minus = true;
        break;
      case '#':
        spec.sharp = true;
        break;
      case ' ':
        spec.space = true;
        break;
      case '0':
        spec.zero = true;
        break;
      default:
        return;
    }
  }
}

const COUNT = /^[0-9]+$/;

/** `[3]`: which operand comes next. Whether there was one that can be read. */
function readIndex(state: State): boolean {
  const { format, at } = state;
  if (format[at] !== '[') return false;
  state.reordered = true;
  const end = format.length - at < 3 ? -1 : format.indexOf(']', at);
  if (end < 0) {
    state.at++;
    state.goodIndex = false;
    return false;
  }
  state.at = end + 1;
  const text = format.slice(at + 1, end);
  const readable = COUNT.test(text) && (text.length <= COUNT_LENGTH || countOf(text) !== undefined);
  const index = readable ? Number(text) : 0;
  if (index < 1 || index > state.operands.length) state.goodIndex = false;
  else state.next = index - 1;
  return readable;
}

const GREATEST_COUNT = 1_000_000;
const COUNT_LENGTH = 6;

/** Digits, of which a further one may follow only a number up to a million. */
function readCount(state: State): number | undefined {
  const { format } = state;
  const start = state.at;
  let end = start;
  while (end < format.length && isDigit(format.charCodeAt(end))) end++;
  state.at = end;
  if (end === start) return undefined;
  const count = countOf(format.slice(start, end));
  // Go gives the rest of the format up with it.
  if (count === undefined) state.at = format.length;
  return count;
}

function countOf(digits: string): number | undefined {
  let count = 0;
  for (const digit of digits) {
    if (count > GREATEST_COUNT) return undefined;
    count = count * 10 + Number(digit);
  }
  return count;
}

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}

/** A width or a precision that is an operand. */
function readStar(state: State): number | undefined {
  state.at++;
  const operand = state.operands[state.next];
  if (operand === undefined) return undefined;
  state.next++;
  const count = operand.kind === 'int64' ? Number(operand.value) : undefined;
  return count !== undefined && Math.abs(count) <= GREATEST_COUNT ? count : undefined;
}
