import { SignJWT } from 'jose';
import type { Clock, StartTimer } from '../decision/ports.ts';
import type { KeySource } from './jwks.ts';
import type { ReadFile } from './jwks-load.ts';
import { importKeySet, type KeySet, parseKeySet } from './key-set.ts';
import {
  type PublishedJwk,
  parsePublishedKey,
  parseSigningKey,
  SIGNING_ALGORITHMS,
  type SigningKey,
} from './signing-key.ts';

/** Signs tokens with the key of a file and publishes what they are verified with. */
export interface TokenSigner {
  /** A compact JWS of type `at+jwt`; rejects while no key was ever loaded. */
  sign(claims: { readonly [claim: string]: unknown }): Promise<string>;
  /** The JWK set to publish: the key in force and those whose tokens may still live. Public members only. */
  jwks(): { readonly keys: readonly PublishedJwk[] };
  /** The same keys, for the verification of these tokens in this process; its life cycle is the signer's. */
  readonly keys: KeySource;
}

export interface TokenSignerOptions {
  /** A private key in PEM or as a JWK. */
  readonly file: string;
  /** Keys that are published beside it and sign nothing. */
  readonly previousFiles: readonly string[];
  readonly readFile: ReadFile;
  /** How long a key is published after another took its place, in milliseconds; longer than its tokens live. */
  readonly retireAfterMs: number;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly report: (event: SigningKeyRead) => void;
}

/** `kept`: the files hold no usable keys just now, so those in force stay. */
export type SigningKeyRead =
  | { readonly kind: 'loaded'; readonly kid: string; readonly published: number }
  | { readonly kind: 'kept'; readonly cause: string };

const POLL_MS = 1000;
/** How soon a token with an unknown key may have the files read again. */
const REREAD_MS = 200;
const READ_TIMEOUT_MS = 5000;

/** The files are read again and again, by content: a new key signs within a second and the former stays published. */
export function createTokenSigner(options: TokenSignerOptions): TokenSigner {
  const { file, previousFiles, readFile, retireAfterMs, clock, startTimer, report } = options;
  let current: Loaded | undefined;
  let retired: readonly Retired[] = [];
  let set: KeySet | undefined;
  let lastCause: string | undefined = 'its signing key was never loaded';
  let reading: Promise<void> | undefined;
  let readAtMs = Number.NEGATIVE_INFINITY;
  let running = false;
  let cancelNext = (): void => {};

  function read(): Promise<void> {
    if (reading !== undefined) return reading;
    cancelNext();
    readAtMs = clock.now().monotonicMs;
    reading = readOnce().finally(() => {
      reading = undefined;
      if (running) cancelNext = startTimer(POLL_MS, () => void read());
    });
    return reading;
  }

  async function readOnce(): Promise<void> {
    try {
      const signal = AbortSignal.timeout(READ_TIMEOUT_MS);
      const texts = await Promise.all(
        [file, ...previousFiles].map(async (one) => utf8.decode(await readFile(one, signal))),
      );
      const { monotonicMs } = clock.now();
      if (current !== undefined && isSame(texts, current.texts)) {
        if (retired.some(({ untilMs }) => untilMs <= monotonicMs)) await publish(current, retired);
      } else {
        const next = parseFiles(texts);
        const untilMs = monotonicMs + retireAfterMs;
        await publish(next, [...(current?.published ?? []).map((jwk) => ({ jwk, untilMs })), ...retired]);
        report({ kind: 'loaded', kid: next.key.published.kid, published: next.published.length + retired.length });
      }
      lastCause = undefined;
    } catch (error) {
      const cause = error instanceof Error ? error.message : 'unknown failure';
      if (cause !== lastCause) report({ kind: 'kept', cause });
      lastCause = cause;
    }
  }

  /** Signing, publishing and verifying change together, once all of it is known to work. */
  async function publish(next: Loaded, former: readonly Retired[]): Promise<void> {
    const { monotonicMs } = clock.now();
    const kids = new Set(next.published.map(({ kid }) => kid));
    const kept: Retired[] = [];
    for (const one of former) {
      if (one.untilMs <= monotonicMs || kids.has(one.jwk.kid) || kept.length === MAX_RETIRED) continue;
      kids.add(one.jwk.kid);
      kept.push(one);
    }
    const keys = [...next.published, ...kept.map(({ jwk }) => jwk)];
    set = await importKeySet(parseKeySet(JSON.stringify({ keys })), SIGNING_ALGORITHMS);
    retired = kept;
    current = next;
  }

  return {
    sign: async (claims) => {
      if (current === undefined) throw new Error('there is no signing key');
      const { privateKey, published } = current.key;
      const header = { alg: published.alg, typ: 'at+jwt', kid: published.kid };
      return await new SignJWT({ ...claims }).setProtectedHeader(header).sign(privateKey);
    },
    jwks: () => ({ keys: [...(current?.published ?? []), ...retired.map(({ jwk }) => jwk)] }),
    keys: {
      current: () => set,
      refresh: () => {
        if (reading !== undefined) return reading;
        return running && clock.now().monotonicMs - readAtMs >= REREAD_MS ? read() : undefined;
      },
      start: () => {
        running = true;
        return read();
      },
      stop: () => {
        running = false;
        cancelNext();
      },
      fault: () => (current === undefined ? lastCause : undefined),
    },
  };
}

const MAX_RETIRED = 16;
const utf8 = new TextDecoder('utf-8', { fatal: true });

interface Loaded {
  readonly texts: readonly string[];
  readonly key: SigningKey;
  /** Its own public part first. */
  readonly published: readonly PublishedJwk[];
}

interface Retired {
  readonly jwk: PublishedJwk;
  readonly untilMs: number;
}

function parseFiles(texts: readonly string[]): Loaded {
  const [signing = '', ...previous] = texts;
  const key = parseSigningKey(signing);
  const published = new Map([key.published, ...previous.map(parsePublishedKey)].map((jwk) => [jwk.kid, jwk]));
  return { texts, key, published: [...published.values()] };
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index]);
}
