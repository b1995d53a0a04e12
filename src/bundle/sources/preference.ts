/**
 * `Prefer` (RFC 7240) in one form that both readings take: `wait` as a preference of its own, and OPA's own list of
 * modes with `wait` behind a semicolon.
 */
export function preferenceOf({ waitSeconds = 0, delta = false }): string {
  const modes = delta ? 'modes=snapshot,delta' : 'modes=snapshot';
  return waitSeconds > 0 ? `wait=${waitSeconds}, ${modes};wait=${waitSeconds}` : modes;
}
