import type { RegoValue } from '../rego-value.ts';
import { describe, type Flags, formatOperand, toOperand } from './go-operand.ts';

/** Go's `fmt.Sprintf` for what OPA hands to it: integers, floats, texts, and everything else as Rego source text. */
export function formatGo(format: string, values: readonly RegoValue[]): string {
  const args = values.map(toOperand);
  let out = '';
  let next = 0;
  let reordered = false;

  for (let at = 0; at < format.length; ) {
    const percent = format.indexOf('%', at);
    if (percent < 0) {
      out += format.slice(at);
      break;
    }
    out += format.slice(at, percent);
    at = percent + 1;
    const flags: Flags = { plus: false, minus: false, sharp: false, space: false, zero: false };
    at = readFlags(format, at, flags);

    let badIndex = false;
    const readIndex = (): boolean => {
      if (format[at] !== '[') return false;
      reordered = true;
      const end = format.indexOf(']', at);
      const text = end < 0 ? '' : format.slice(at + 1, end);
      at = end < 0 ? at + 1 : end + 1;
      const index = /^[0-9]{1,6}$/.test(text) ? Number(text) : 0;
      if (index < 1 || index > args.length) badIndex = true;
      else next = index - 1;
      return true;
    };
    const readCount = (): number | undefined => {
      const digits = /^[0-9]+/.exec(format.slice(at, at + 8))?.[0];
      if (digits === undefined) return undefined;
      at += digits.length;
      return Number(digits) > MAX_WIDTH ? undefined : Number(digits);
    };
    const readStar = (fault: string): number | undefined => {
      at++;
      const operand = args[next++];
      const count = operand?.kind === 'integer' ? Number(operand.value) : undefined;
      if (count !== undefined && Math.abs(count) <= MAX_WIDTH) return count;
      out += fault;
      return undefined;
    };

    let afterIndex = readIndex();
    let width: number | undefined;
    if (format[at] === '*') {
      width = readStar('%!(BADWIDTH)');
      if (width !== undefined && width < 0) {
        width = -width;
        flags.minus = true;
        flags.zero = false;
      }
      afterIndex = false;
    } else {
      width = readCount();
      if (afterIndex && width !== undefined) badIndex = true;
    }
    let precision: number | undefined;
    if (format[at] === '.') {
      at++;
      if (afterIndex) badIndex = true;
      afterIndex = readIndex();
      if (format[at] === '*') {
        precision = readStar('%!(BADPREC)');
        if (precision !== undefined && precision < 0) {
          precision = undefined;
          out += '%!(BADPREC)';
        }
        afterIndex = false;
      } else {
        precision = readCount() ?? 0;
      }
    }
    if (!afterIndex) readIndex();

    const verb = String.fromCodePoint(format.codePointAt(at) ?? 0);
    if (at >= format.length) {
      out += '%!(NOVERB)';
      break;
    }
    at += verb.length;
    const operand = args[next];
    if (verb === '%') out += '%';
    else if (badIndex) out += `%!${verb}(BADINDEX)`;
    else if (operand === undefined) out += `%!${verb}(MISSING)`;
    else {
      next++;
      out += formatOperand(operand, verb, { ...flags, width, precision });
    }
  }
  if (!reordered && next < args.length) out += `%!(EXTRA ${args.slice(next).map(describe).join(', ')})`;
  return out;
}

const MAX_WIDTH = 1_000_000;

function readFlags(format: string, from: number, flags: Flags): number {
  for (let at = from; ; at++) {
    switch (format.charAt(at)) {
      case '+':
        flags.plus = true;
        break;
      case '-':
        flags.minus = true;
        flags.zero = false;
        break;
      case '#':
        flags.sharp = true;
        break;
      case ' ':
        flags.space = true;
        break;
      case '0':
        flags.zero = true;
        break;
      default:
        return at;
    }
  }
}
