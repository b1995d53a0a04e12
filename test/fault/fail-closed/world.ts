import { randomUUID } from 'node:crypto';
import { CLIENT_ANSWERS } from '../../../src/decision/errors.ts';
import type { Authorize, AuthorizePorts, Clock, Outcome } from '../../../src/decision/ports.ts';
import { core } from '../../support/core.ts';
import { decodeCheckResponse } from '../../support/ext-authz-proto.ts';
import { createCheckClient } from '../../support/grpc-client.ts';
import { ask } from '../../support/http-client.ts';
import { bearer, INFER_PATH, inferRequest, wholeJsonBody } from '../../support/infer-request.ts';
import { startSystemTimer, systemClock } from '../../support/system-ports.ts';
import { startTestDoors, type TestDoorsOptions } from '../../support/test-doors.ts';

/** What a gateway would wait for: an answer that comes later counts as none. */
const GATEWAY_DEADLINE_MS = 2_000;

/** Both doors, asked as a gateway asks. */
export interface World {
  /**
   * What both doors answer to one and the same call: `allow`, or `deny CODE`. Whatever is not right about an answer is
   * said instead: doors that differ, a status that is not the code's, no answer before the gateway's deadline.
   */
  ask(token?: string): Promise<string>;
  stop(): Promise<void>;
}

/** Doors in front of a decision. */
export async function openWorld(authorize: Authorize, options: TestDoorsOptions = {}): Promise<World> {
  const outcomes = new Map<string, Outcome>();
  const doors = await startTestDoors(async (request) => {
    const outcome = await authorize(request);
    outcomes.set(request.door, outcome);
    return outcome;
  }, options);
  const client = createCheckClient(`127.0.0.1:${doors.grpcPort}`);

  const askGrpc = async (token: string | undefined): Promise<string> => {
    const bytes = await client.check(inferRequest(token === undefined ? {} : { token }), {
      deadline: Date.now() + GATEWAY_DEADLINE_MS,
    });
    const { status, deniedResponse } = decodeCheckResponse(bytes);
    if ((status?.code ?? 0) === 0) return 'allow';
    return denialOf('ext_authz_grpc', deniedResponse?.status?.code);
  };
  const askHttp = async (token: string | undefined): Promise<string> => {
    const answer = await ask(doors.httpPort, {
      method: 'POST',
      path: `/ext-authz${INFER_PATH}`,
      headers: {
        ...wholeJsonBody(''),
        ...(token === undefined ? {} : bearer(token)),
        'x-envoy-expected-rq-timeout-ms': String(GATEWAY_DEADLINE_MS),
      },
      timeoutMs: GATEWAY_DEADLINE_MS,
    });
    return answer.status === 200 ? 'allow' : denialOf('ext_authz_http', answer.status);
  };
  /** INVARIANT: what the wire says is what was decided. */
  const denialOf = (door: string, status: number | undefined): string => {
    const decision = outcomes.get(door)?.decision;
    if (decision === undefined) return 'deny, by the door';
    if (decision.kind === 'allow') return `${status} on the wire for an allow`;
    const wanted = CLIENT_ANSWERS[decision.code].status;
    const told = door === 'ext_authz_http' && wanted >= 500 ? 403 : wanted;
    return status === told ? `deny ${decision.code}` : `${String(status)} on the wire for ${decision.code}`;
  };

  return {
    ask: async (token) => {
      outcomes.clear();
      const answers = await Promise.all(
        [askGrpc(token), askHttp(token)].map((answer) =>
          answer.catch((error: unknown) => `no answer in time (${String(error)})`),
        ),
      );
      return [...new Set(answers)].join(' / ');
    },
    stop: async () => {
      client.close();
      await doors.stop();
    },
  };
}

/** A core with the given ports, on real time, whatever is not given being well; asked once. */
export async function askCore(
  parts: Partial<AuthorizePorts>,
  { token, before }: { readonly token?: string; readonly before?: (world: World) => Promise<unknown> } = {},
): Promise<string> {
  const world = await openWorld(realTimeCore(parts));
  try {
    await before?.(world);
    return await world.ask(token);
  } finally {
    await world.stop();
  }
}

export function realTimeCore(parts: Partial<AuthorizePorts> = {}): Authorize {
  const ports = { clock: systemClock, startTimer: startSystemTimer, newDecisionId: randomUUID, maxWaitMs: 5_000 };
  return core({ ...ports, ...parts }).authorize;
}

/** Real time that a trial can put forward. */
export function createSkewedClock(): Clock & { skip(ms: number): void } {
  let skippedMs = 0;
  return {
    now: () => {
      const { epochMs, monotonicMs } = systemClock.now();
      return { epochMs: epochMs + skippedMs, monotonicMs: monotonicMs + skippedMs };
    },
    skip: (ms) => {
      skippedMs += ms;
    },
  };
}
