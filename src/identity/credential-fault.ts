/**
 * Why a presented credential does not hold. Thrown inside the identity step only; a method turns it into a `refused`.
 * The message names the fault, never the credential.
 */
export class CredentialFault extends Error {
  override readonly name = 'CredentialFault';
  readonly code: 'invalid_credential' | 'issuer_unavailable';

  constructor(message: string, code: 'invalid_credential' | 'issuer_unavailable' = 'invalid_credential') {
    super(message);
    this.code = code;
  }
}
