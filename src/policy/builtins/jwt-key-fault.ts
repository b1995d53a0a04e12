/** What is wrong with a key that a policy names. Never says what is in it. */
export class KeyFault extends Error {
  override readonly name = 'KeyFault';
}
