/** An evaluation that failed, with OPA's code of why: `eval_conflict_error`, `eval_type_error`, `eval_builtin_error` … */
export class EvaluationFault extends Error {
  override readonly name = 'EvaluationFault';
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export function conflictFault(message: string): EvaluationFault {
  return new EvaluationFault('eval_conflict_error', message);
}

export function internalFault(message: string, options?: ErrorOptions): EvaluationFault {
  return new EvaluationFault('eval_internal_error', message, options);
}
