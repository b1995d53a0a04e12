/** What is wrong with a certificate, request or key, in Go's words where they are known. */
export class X509Error extends Error {
  override readonly name = 'X509Error';
}

/** Throws an {@link X509Error}; a `?? fail(…)` where something is missing. */
export function fail(message: string): never {
  throw new X509Error(message);
}
