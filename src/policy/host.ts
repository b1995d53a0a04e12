import type { Instant } from '../decision/ports.ts';
import { type BuiltinContext, type Builtins, FAILED } from './builtins/builtin.ts';
import type { CallBuiltin } from './opa-wasm.ts';

/** What stands behind the module's calls: the builtins, and what is pinned for the decision that is being evaluated. */
export interface Host {
  /** Pins time and randomness to a decision's instant; with `strict` a builtin that fails is a fault. */
  begin(at: Instant, strict: boolean): void;
  readonly call: CallBuiltin;
}

interface HostParts {
  readonly builtins: Builtins;
  readonly randomBytes: (count: number) => Uint8Array;
}

export function createHost({ builtins, randomBytes }: HostParts): Host {
  /** Random values of a decision, by its instant: `limits` and `decision` of one request see the same. */
  const drawn = new WeakMap<Instant, Map<string, Uint8Array>>();
  let current: BuiltinContext | undefined;
  let strictly = false;

  function contextOf(at: Instant): BuiltinContext {
    return {
      at,
      randomFor: (label) => {
        const values = drawn.get(at) ?? new Map<string, Uint8Array>();
        drawn.set(at, values);
        const value = values.get(label) ?? randomBytes(32);
        values.set(label, value);
        return value;
      },
    };
  }

  return {
    begin: (at, strict) => {
      if (current?.at !== at) current = contextOf(at);
      strictly = strict;
    },
    call: (name, args) => {
      const builtin = builtins.get(name);
      if (builtin === undefined || current === undefined) throw new Error(`the builtin \`${name}\` is not supported`);
      try {
        const result = builtin(args, current);
        if (result !== undefined) return result;
      } catch (error) {
        if (error !== FAILED) throw error;
      }
      if (strictly) throw new Error(`the builtin \`${name}\` failed where errors are strict`);
      return undefined;
    },
  };
}
