/** What a client would rather have (RFC 7240). */
export interface Preferences {
  /** How long it would wait for something new, in seconds; 0: not at all. */
  readonly waitSeconds: number;
  /** Whether it can apply a delta to what it names in `If-None-Match`, as OPA says with `modes=snapshot,delta`. */
  readonly takesDelta: boolean;
  readonly said: boolean;
}

/**
 * Reads every `Prefer` header. Preferences are parted by commas (RFC 7240 §2); OPA 1.22 parts its two by a semicolon
 * and has a comma within `modes`, so both part, and the words that follow `modes` are modes. What is not understood
 * counts for nothing.
 */
export function parsePrefer(headers: readonly string[]): Preferences {
  let waitSeconds = 0;
  let takesDelta = false;
  let isModes = false;
  for (const word of headers.join(',').slice(0, MAX_CHARACTERS).split(/[,;]/)) {
    const text = word.trim().toLowerCase();
    if (text.startsWith('wait=')) {
      const [, digits] = /^wait="?([0-9]{1,6})"?$/.exec(text) ?? [];
      waitSeconds = Math.max(waitSeconds, Number(digits ?? 0));
    }
    const isNamed = text.includes('=');
    if (isNamed) isModes = text.startsWith('modes=');
    if (isModes && text.replace(/^modes=/, '') === 'delta') takesDelta = true;
  }
  return { waitSeconds, takesDelta, said: headers.length > 0 };
}

const MAX_CHARACTERS = 1024;

/** The entity tag of what a digest names. */
export function etagOf(sha256: string): string {
  return `"sha256:${sha256}"`;
}

/** The tags of `If-None-Match`, compared weakly (RFC 9110 §13.1.2); `*` stands for any. */
export function parseIfNoneMatch(headers: readonly string[]): ReadonlySet<string> {
  const text = headers.join(',').slice(0, MAX_TAG_CHARACTERS);
  if (text.trim() === '*') return new Set(['*']);
  return new Set(Array.from(text.matchAll(/(?:W\/)?("[!#-~]{0,200}")/g), ([, tag = '']) => tag));
}

const MAX_TAG_CHARACTERS = 4096;

/** Which archive the client has, as far as its tags name one of ours. */
export function digestsOf(tags: ReadonlySet<string>): readonly string[] {
  return [...tags].flatMap((tag) => /^"sha256:([0-9a-f]{64})"$/.exec(tag)?.[1] ?? []);
}
