import { type BuiltinContext, BuiltinFailure, type Builtins } from '../../../../src/policy/builtins/builtin.ts';
import { parseRegoText, toRegoText } from '../../../../src/policy/values/text.ts';

export interface CallSettings {
  readonly strict?: boolean;
  /** Throws {@link OutOfSteps} beyond these. */
  readonly steps?: number;
}

export class OutOfSteps extends Error {}

export const AT_MS: number = Date.UTC(2026, 10, 2, 12);

function contextOf({ strict = false, steps = Infinity }: CallSettings): BuiltinContext {
  let left = steps;
  return {
    at: { epochMs: AT_MS, monotonicMs: 1_000 },
    strict,
    randomFor: () => new Uint8Array(32),
    charge: (charged) => {
      left -= charged;
      if (left < 0) throw new OutOfSteps();
    },
  };
}

/** Calls a builtin with Rego text and answers Rego text: `undefined` for a failure, or `code: message` when strict. */
export function callBuiltin(builtins: Builtins, name: string, args: string, settings: CallSettings = {}): string {
  const builtin = builtins.get(name);
  if (builtin === undefined) throw new Error(`there is no builtin \`${name}\``);
  const operands = parseRegoText(`[${args}]`);
  const [a = null, b = null, c = null, d = null] = Array.isArray(operands) ? operands : [];
  try {
    const result = builtin(contextOf(settings), a, b, c, d);
    return result === undefined ? 'undefined' : toRegoText(result);
  } catch (error) {
    if (!(error instanceof BuiltinFailure)) throw error;
    return settings.strict === true ? `${error.code}: ${error.message}` : 'undefined';
  }
}
