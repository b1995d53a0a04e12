/** What came of one test, of either sort. */
export interface TestResult {
  /** `opa test` or `request cases`. */
  readonly suite: string;
  /** The Rego package, or the file of the case. */
  readonly group: string;
  readonly name: string;
  readonly file: string;
  /** Counts from 1; absent where it is not known. */
  readonly line?: number;
  readonly durationMs: number;
  readonly state: 'passed' | 'failed' | 'skipped';
  /** Empty unless it failed. */
  readonly failures: readonly string[];
  /** What it printed, or how its decision came about. */
  readonly output?: string;
}
