/** An evaluation that failed, with OPA's code of why: `eval_conflict_error`, `eval_type_error`, `eval_builtin_error` … */
export class EvaluationFault extends Error {
  override readonly name = 'EvaluationFault';
  readonly code: string;
  /** The builtin that failed; its message may quote what it was given. */
  readonly builtin: string | undefined;

  constructor(code: string, message: string, options?: ErrorOptions & { readonly builtin?: string }) {
    super(message, options);
    this.code = code;
    this.builtin = options?.builtin;
  }
}

export function conflictFault(message: string): EvaluationFault {
  return new EvaluationFault('eval_conflict_error', message);
}

export function internalFault(message: string, options?: ErrorOptions): EvaluationFault {
  return new EvaluationFault('eval_internal_error', message, options);
}
