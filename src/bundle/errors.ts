/** Every way in which a bundle is refused, by one stable code for logs, status and the exit of `serve`. */
export type BundleErrorCode =
  /** The file is not there or cannot be read. */
  | 'bundle_missing'
  /** The url did not answer with a bundle. */
  | 'bundle_unreachable'
  | 'bundle_too_large'
  /** It ends before its own end mark. */
  | 'bundle_truncated'
  /** It is not what local config says may be believed. */
  | 'bundle_untrusted'
  | 'bundle_invalid'
  /** Rego without a plan and a Wasm module. */
  | 'bundle_not_compiled'
  | 'bundle_lacks_entrypoint'
  /** Two bundles claim the same part of `data`. */
  | 'bundle_conflict'
  /** Well formed and trusted, but the policy engine or the route table will not have it. */
  | 'bundle_rejected'
  | 'bundle_build_failed';

/** A bundle that cannot be used. The message names the fault and what to do; `cause` holds the technical error. */
export class BundleError extends Error {
  override readonly name = 'BundleError';
  readonly code: BundleErrorCode;

  constructor(code: BundleErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * The same error, its message led by the bundle it is about and no longer than {@link MAX_FAULT_LENGTH}; what is no
 * {@link BundleError} becomes `fallback`.
 */
export function nameBundle(name: string, error: unknown, fallback: BundleErrorCode): BundleError {
  const prefix = `bundle \`${name}\``;
  const { code, cause = error } = error instanceof BundleError ? error : { code: fallback };
  const text = error instanceof Error ? error.message : String(error);
  const isNamed = error instanceof BundleError && text.startsWith(prefix);
  if (isNamed && text.length <= MAX_FAULT_LENGTH) return error;
  return new BundleError(code, cutFault(isNamed ? text : `${prefix}: ${text}`), { cause });
}

/** Of the text of a fault: what a bundle says itself may be in it, and it goes into logs and status. */
export const MAX_FAULT_LENGTH = 1_024;

export function cutFault(text: string): string {
  return text.length <= MAX_FAULT_LENGTH ? text : `${text.slice(0, MAX_FAULT_LENGTH - 1)}…`;
}
