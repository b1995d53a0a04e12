/**
 * The same text with memory of its own, in one piece: one of a request is a slice of its message, which it would keep,
 * and one that was joined is made whole anew for each reader. For what outlives its request.
 */
export function ownText(text: string): string {
  return Buffer.from(text).toString();
}
