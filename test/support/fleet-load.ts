import { decodeCheckResponse, type HeaderOption } from './ext-authz-proto.ts';
import type { FleetAgent } from './fleet-agents.ts';
import { type CheckClient, createCheckClient } from './grpc-client.ts';
import { ask } from './http-client.ts';
import { bearer, inferRequest, wholeJsonBody } from './infer-request.ts';

/** What a gateway asked of one service. */
export interface FleetAsk {
  readonly tenant: string;
  /** Absent: nobody says who asks. */
  readonly token?: string;
  readonly body?: string;
}

export type FleetAnswered =
  | { readonly kind: 'allow'; readonly policy: string | undefined; readonly tenant: string | undefined }
  | { readonly kind: 'deny'; readonly status: number; readonly text: string };

const BODY = '{"prompt":"hello"}';

/** Asks services over their own doors, as gateways do; a service that came back elsewhere is found there. */
export interface FleetClient {
  /** Rejects where there is no answer. */
  ask(agent: FleetAgent, asked: FleetAsk): Promise<FleetAnswered>;
  close(): void;
}

export function createFleetClient(): FleetClient {
  const clients = new Map<number, CheckClient>();

  const overGrpc = async (port: number, { tenant, token, body = BODY }: FleetAsk): Promise<FleetAnswered> => {
    let client = clients.get(port);
    if (client === undefined) {
      client = createCheckClient(`127.0.0.1:${port}`);
      clients.set(port, client);
    }
    const request = inferRequest({ path: pathOf(tenant), body, ...(token === undefined ? {} : { token }) });
    const answer = decodeCheckResponse(await client.check(request, { deadline: Date.now() + 15_000 }));
    if ((answer.status?.code ?? 0) !== 0) {
      const { status, body: text = '' } = answer.deniedResponse ?? {};
      return { kind: 'deny', status: status?.code ?? 403, text };
    }
    const { headers, responseHeadersToAdd } = answer.okResponse ?? {};
    return {
      kind: 'allow',
      policy: headerIn(responseHeadersToAdd, 'x-policy'),
      tenant: headerIn(headers, 'x-sallyport-tenant'),
    };
  };

  const overHttp = async (port: number, { tenant, token, body = BODY }: FleetAsk): Promise<FleetAnswered> => {
    const headers = { ...wholeJsonBody(body), ...(token === undefined ? {} : bearer(token)) };
    const answer = await ask(port, { method: 'POST', path: `/ext-authz${pathOf(tenant)}`, headers, body });
    if (answer.status !== 200) return { kind: 'deny', status: answer.status, text: answer.body };
    const textIn = (name: string): string | undefined => answer.headers[name]?.toString();
    return { kind: 'allow', policy: textIn('x-policy'), tenant: textIn('x-sallyport-tenant') };
  };

  return {
    ask: ({ door, port }, asked) => (door === 'ext_authz_grpc' ? overGrpc(port, asked) : overHttp(port, asked)),
    close: () => {
      for (const client of clients.values()) client.close();
    },
  };
}

function pathOf(tenant: string): string {
  return `/${tenant}/llama-3-8b/infer`;
}

function headerIn(headers: readonly HeaderOption[] | undefined, name: string): string | undefined {
  return headers?.find(({ header }) => header.key === name)?.header.value;
}

/** A request of the steady load with its answer. */
export interface LoadAnswer {
  readonly agent: FleetAgent;
  readonly tenant: string;
  /** When it was sent, as `performance.now` has it. */
  readonly sentMs: number;
  readonly answered: FleetAnswered;
}

export interface FleetLoadOptions {
  readonly client: FleetClient;
  readonly agents: readonly FleetAgent[];
  /** The token of each tenant's caller. */
  readonly tokens: ReadonlyMap<string, string>;
  /** Between two requests to one service. */
  readonly gapMs: number;
}

/** A steady load of verified callers on every service. All of them may pass: what is not allowed is a failed request. */
export interface FleetLoad {
  /** Whose callers ask this service; all tenants' until it is said. */
  shape(agent: FleetAgent, tenants: readonly string[]): void;
  /** Nothing is sent to this service, and what was is answered. */
  pause(agent: FleetAgent): Promise<void>;
  resume(agent: FleetAgent): void;
  /** Allowed and answered with the right tenant, by the revision that the answer names, since the last call. */
  take(): ReadonlyMap<string, number>;
  /** Told of every answer. */
  onAnswer: (answer: LoadAnswer) => void;
  sent(): number;
  /** What was not allowed, or not answered. */
  failures(): readonly string[];
  stop(): Promise<void>;
}

export function startFleetLoad({ client, agents, tokens, gapMs }: FleetLoadOptions): FleetLoad {
  const all = [...tokens.keys()];
  const shapes = new Map<FleetAgent, readonly string[]>();
  const paused = new Set<FleetAgent>();
  const busy = new Map<FleetAgent, Promise<void>>();
  const failures: string[] = [];
  let counts = new Map<string, number>();
  let running = true;
  let sent = 0;

  const once = async (agent: FleetAgent, tenant: string): Promise<void> => {
    const token = tokens.get(tenant);
    const sentMs = performance.now();
    sent += 1;
    try {
      if (token === undefined) throw new Error(`nobody asks for ${tenant}`);
      const answered = await client.ask(agent, { tenant, token });
      if (answered.kind === 'deny') failures.push(`${agent.name} ${tenant}: ${answered.status} ${answered.text}`);
      else if (answered.tenant !== tenant) failures.push(`${agent.name} ${tenant}: allowed as ${answered.tenant}`);
      else counts.set(answered.policy ?? 'none', (counts.get(answered.policy ?? 'none') ?? 0) + 1);
      load.onAnswer({ agent, tenant, sentMs, answered });
    } catch (error) {
      failures.push(`${agent.name} ${tenant}: ${String(error)}`);
    }
  };
  const gateway = async (agent: FleetAgent, first: number): Promise<void> => {
    // They do not all ask in one moment.
    await pause((gapMs * first) / agents.length);
    for (let turn = first; running; turn += 1) {
      const tenants = shapes.get(agent) ?? all;
      const tenant = tenants[turn % tenants.length];
      if (!paused.has(agent) && tenant !== undefined) {
        const asking = once(agent, tenant);
        busy.set(agent, asking);
        await asking;
      }
      await pause(gapMs);
    }
  };
  const load: FleetLoad = {
    shape: (agent, tenants) => void shapes.set(agent, tenants),
    pause: async (agent) => {
      paused.add(agent);
      await busy.get(agent);
    },
    resume: (agent) => void paused.delete(agent),
    take: () => {
      const taken = counts;
      counts = new Map();
      return taken;
    },
    onAnswer: () => {},
    sent: () => sent,
    failures: () => failures,
    stop: async () => {
      running = false;
      await gateways;
    },
  };
  const gateways = Promise.all(agents.map(gateway));
  return load;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
