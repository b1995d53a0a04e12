import type { Position, Statement } from './plan.ts';

/** A plan as JavaScript; can be cloned to another thread. */
export interface Translation {
  /**
   * One expression: a function of the runtime's names (`RUNTIME_NAMES`) that returns {@link GeneratedPolicy}. It names
   * only `f<int>`, `l<int>`, `b<int>`, `c<int>`, the runtime's names, and has no literals but integers, booleans, `null`.
   */
  readonly source: string;
  readonly constants: readonly Constant[];
  /** By the number with which the source asks for them. */
  readonly builtins: readonly string[];
  readonly entrypoints: readonly string[];
  /** Functions that dynamic calls find, in the order in which the source returns them. */
  readonly dynamic: readonly { readonly path: readonly string[]; readonly takes: number }[];
  readonly conflicts: readonly string[];
  readonly tables: readonly RuleTable[];
  /** With `trace`: what the numbers mean that the observer is called with. */
  readonly positions: readonly TracePosition[];
  readonly files: readonly string[];
}

export type Scalar = null | boolean | string | { readonly number: string };

export type Constant =
  | Scalar
  | { readonly path: readonly string[] }
  | { readonly array: readonly Constant[] }
  | { readonly set: readonly Constant[] }
  | { readonly object: readonly (readonly [Constant, Constant])[] };

/** Many rules that a few templates were made of. In few objects: all of it is copied from thread to thread. */
export interface RuleTable {
  /** Each rule's template. */
  readonly templates: readonly number[];
  /** How many slots each template has. */
  readonly slots: readonly number[];
  /** What stands in them, one rule after the other. */
  readonly constants: readonly Scalar[];
  readonly tree: RuleTree;
}

/** Rules by their number; or which of them may do anything, by the value that is given at this place. */
export type RuleTree =
  | number
  | readonly number[]
  | {
      readonly at: number;
      readonly cases: readonly Scalar[];
      /** One for each case. */
      readonly trees: readonly RuleTree[];
      /** Those that do not look at it. */
      readonly rest: RuleTree;
    };

export interface TracePosition extends Position {
  /** The plan's name of the function or entrypoint: `g0.data.authz.allow`. */
  readonly function: string;
  /** Absent where the function is entered. */
  readonly statement?: Statement;
}
