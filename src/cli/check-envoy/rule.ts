import type { Bootstrap } from './bootstrap.ts';
import type { Setting } from './setting.ts';

/** What the caller of the command says that the file cannot. */
export interface CheckOptions {
  /** `network.trusted_hops` of sallyport.yaml; undefined when it was not said. */
  readonly trustedHops: number | undefined;
}

/** Names a setting that is wrong where it stands, or missing below where it should stand. */
export type Report = (at: Setting, name: string, text: string) => void;

export interface Rule {
  /** Its name in docs/check-envoy.md and of its fixtures. */
  readonly id: string;
  /** A finding undoes a decision and fails the check; a note is worth knowing. */
  readonly severity: 'finding' | 'note';
  readonly check: (bootstrap: Bootstrap, report: Report, options: CheckOptions) => void;
}

/** One line of the result. */
export interface Finding {
  readonly rule: string;
  readonly severity: Rule['severity'];
  /** As Envoy spells it. */
  readonly name: string;
  readonly path: string;
  readonly line: number;
  readonly column: number;
  /** What it means, and what to do. */
  readonly text: string;
}
