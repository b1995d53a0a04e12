import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask } from '../../support/http-client.ts';
import { bearer, INFER_PATH, wholeJsonBody } from '../../support/infer-request.ts';
import { eventually } from '../../support/programs.ts';
import { type Service, startService, toServiceConfig } from '../../support/service.ts';
import { createTestIssuer } from '../../support/tokens.ts';
import { ROOT } from '../../support/tools.ts';

export interface LogTrial {
  readonly sink: { readonly file: { readonly path: string } } | { readonly stdout: Readonly<Record<never, never>> };
  /** A shell command that the service's stdout is piped into; `$EVENTS` is where lines that arrive are to be put. */
  readonly reader?: string;
}

/** More than a pipe and the queue hold together, so that a reader who sleeps makes events drop. */
const ROUNDS = 200;
/** A call with a token and one without in each, and the activation before them. */
const EVENTS = ROUNDS * 2 + 1;

/** A service of its own process with that sink: the same answers as ever, and each event written or counted? */
export async function runLogTrial({ sink, reader }: LogTrial): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-log-trial-'));
  const eventsFile = join(folder, 'events.jsonl');
  await writeFile(eventsFile, '');
  const jwksFile = join(folder, 'jwks.json');
  const issuer = await createTestIssuer();
  await issuer.writeJwks(jwksFile);
  const config = {
    ...(await toServiceConfig({ issuer, jwksFile })),
    decision_log: { sinks: [sink], queue: { max_events: 50 }, aggregate: { above_per_second: 1_000_000 } },
  };
  const serve = (configFile: string): string =>
    `'${process.execPath}' '${join(ROOT, 'src/main.ts')}' serve --config '${configFile}'`;
  const service = await startService({
    config,
    ...(reader === undefined ? {} : { launch: (file) => ['sh', '-c', `${serve(file)} | { ${reader}; }`] }),
    env: { EVENTS: eventsFile },
  });
  try {
    const token = await issuer.mint({ tenant: 'tenant-a', tier: 'premium', roles: ['analyst'] });
    const answers = await askAll(service, token);
    if (answers !== '200 401') return `other answers: ${answers}`;
    const accounted = await eventually(async () => {
      const written = (await readFile(eventsFile, 'utf8')).split('\n').length - 1;
      return written + (await droppedOf(service)) === EVENTS ? true : undefined;
    }, 10_000).catch(async () => false);
    if (!accounted) return `${EVENTS} events, ${await droppedOf(service)} of them counted as dropped`;
    return 'same answers, every event accounted for';
  } finally {
    await service.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** The statuses of granted and of anonymous calls, all that came. */
async function askAll(service: Service, token: string): Promise<string> {
  const statuses = new Set<number>();
  const port = service.port('ext_authz_http');
  for (let round = 0; round < ROUNDS; round += 1) {
    const answers = await Promise.all(
      [bearer(token), {}].map((headers) =>
        ask(port, {
          method: 'POST',
          path: `/ext-authz${INFER_PATH}`,
          headers: { ...wholeJsonBody(''), ...headers },
          timeoutMs: 2_000,
        }),
      ),
    );
    for (const { status } of answers) statuses.add(status);
  }
  return [...statuses].sort((one, other) => one - other).join(' ');
}

async function droppedOf(service: Service): Promise<number> {
  const line = (await service.metrics()).split('\n').find((text) => text.startsWith(DROPPED));
  return Number(line?.slice(DROPPED.length) ?? Number.NaN);
}

const DROPPED = 'sallyport_decision_log_dropped_total ';
