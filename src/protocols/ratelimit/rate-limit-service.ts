import { X509Certificate } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { CoreCode } from '../../decision/errors.ts';
import { isAllowedCertificate } from '../../listener/caller.ts';
import type { CallContext, UnaryMethod } from '../../listener/unary-method.ts';
import { WireFault } from '../../listener/wire-fault.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { RateLimitConfig } from './config.ts';
import { OK, OVER_LIMIT, toRateLimitResponse } from './from-rate-limit.ts';
import type { Limit, RateLimitAnswer, RateLimitRequest } from './rate-limit.ts';
import { toRateLimitRequest } from './to-rate-limit-request.ts';

export const SHOULD_RATE_LIMIT_PATH = '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit';
export const DOOR = 'ratelimit';

/** What became of a call: `refused` may not ask this, or cannot be read; `undecided` was asked and not answered. */
export type RateLimitOutcome = 'ok' | 'over_limit' | 'refused' | 'undecided';

export interface RateLimitMethodPorts {
  readonly limit: Limit;
  readonly config: Pick<RateLimitConfig, 'on_error' | 'headers' | 'may_override'>;
  readonly logger: Pick<Logger, 'limited'>;
  readonly count: (outcome: RateLimitOutcome) => void;
}

/** `cause` is for logs. */
export type RateLimitVerdict = RateLimitAnswer | { readonly kind: 'refused'; readonly cause: string };

/**
 * `RateLimitService/ShouldRateLimit`. What was not decided is answered as `on_error` says; what a caller can bring
 * about himself, by what he sends or by who he is, is OVER_LIMIT whatever that says.
 */
export function createRateLimitMethod(ports: RateLimitMethodPorts): UnaryMethod<RateLimitVerdict> {
  const { limit, config, logger, count } = ports;
  const { on_error: onError, headers } = config;
  const read = createReader();
  const mayOverride = createOverrideCheck(config.may_override);

  function judge(message: Buffer, context: CallContext): RateLimitVerdict | Promise<RateLimitAnswer> {
    const request = read(message);
    if (typeof request === 'string') return { kind: 'refused', cause: request };
    if (request.privileged && !mayOverride(context)) {
      return { kind: 'refused', cause: 'negative hits or a limit of his own from a caller not in `may_override`' };
    }
    return limit(request);
  }

  function undecided(cause: string): Buffer {
    count('undecided');
    logger.limited('ratelimit_undecided', 'warn', { door: DOOR, cause, answer: onError }, 'a limit was not decided');
    return onError === 'ok' ? OK : OVER_LIMIT;
  }

  return {
    ask: judge,
    askUnread(code, cause) {
      return { kind: UNDECIDED.has(code) ? 'undecided' : 'refused', cause };
    },
    reply(verdict) {
      switch (verdict.kind) {
        case 'decided': {
          const reply = toRateLimitResponse(verdict, headers);
          count(verdict.overLimit ? 'over_limit' : 'ok');
          return reply;
        }
        case 'undecided':
          return undecided(verdict.cause);
        case 'refused':
          count('refused');
          logger.limited('ratelimit_refused', 'warn', { door: DOOR, cause: verdict.cause }, 'a call was refused');
          return OVER_LIMIT;
      }
    },
    undecided,
  };
}

/** What this process lacks, and no caller is to blame for. */
const UNDECIDED: ReadonlySet<CoreCode> = new Set<CoreCode>(['overloaded', 'deadline', 'internal']);

/**
 * Requests of the same bytes are the same object, as far as they are remembered: a gateway asks the same again and
 * again. Answers what is wrong as a text.
 */
function createReader(): (message: Buffer) => RateLimitRequest | string {
  const known = new LRUCache<string, RateLimitRequest>({ max: MAX_KNOWN });
  return (message) => {
    const bytes = message.length > MAX_KNOWN_BYTES ? undefined : message.toString('latin1');
    const before = bytes === undefined ? undefined : known.get(bytes);
    if (before !== undefined) return before;
    try {
      const request = toRateLimitRequest(message);
      if (bytes !== undefined) known.set(bytes, request);
      return request;
    } catch (error) {
      if (error instanceof WireFault) return error.message;
      throw error;
    }
  };
}

const MAX_KNOWN = 8192;
const MAX_KNOWN_BYTES = 1024;

/** Whether a caller showed the door's own listener a certificate that may ask for more; looked at once for each. */
function createOverrideCheck(names: readonly string[] | undefined): (context: CallContext) => boolean {
  if (names === undefined) return () => false;
  const allowed: ReadonlySet<string> = new Set(names);
  const known = new LRUCache<string, boolean>({ max: 256 });
  return ({ believed, callerCertificate }) => {
    if (!believed || callerCertificate === undefined) return false;
    const before = known.get(callerCertificate);
    if (before !== undefined) return before;
    const may = isAllowedCertificate(new X509Certificate(callerCertificate), allowed);
    known.set(callerCertificate, may);
    return may;
  };
}
