import { Buffer } from 'node:buffer';
import { createInspector } from '../../src/inspection/inspector.ts';
import { parseJsonBody } from '../../src/inspection/json-body.ts';
import { accessRequest, CHAT, INFER, STRICT } from '../unit/inspection/access-requests.ts';

/**
 * Prints the CPU microseconds of one inspection of a POST, for bodies of 300 bytes and 16 kB, and of reading
 * such a body by the scanner and by JSON.parse. `node test/bench/inspection.ts`
 */
const ROUNDS = 7;
const ROUND_MS = 150;

const inspect = createInspector({
  catalog: { routes: [{ ...INFER, max_bytes: 1_048_576 }, CHAT] },
  network: { trusted_hops: 0 },
  compatibility: STRICT,
});

for (const bytes of [300, 16_384]) {
  for (const shape of ['one long text', 'many messages'] as const) {
    const body = Buffer.from(chatBody(bytes, shape));
    const text = body.toString('utf8');
    const name = `${body.length} B, ${shape}`;
    const infer = requestOf('/tenant-a/llama-3-8b/infer', body);
    const chat = requestOf('/v1/chat/completions', body);
    print(`infer route, ${name}`, () => inspect(infer, undefined, null, 'required').kind);
    print(`chat route, ${name}`, () => inspect(chat, undefined, null, 'required').kind);
    print(`scanner, ${name}`, () => parseJsonBody(body, false).kind);
    print(`JSON.parse of bytes, ${name}`, () => typeof JSON.parse(body.toString('utf8')));
    print(`JSON.parse of text, ${name}`, () => typeof JSON.parse(text));
  }
}

function requestOf(target: string, body: Buffer) {
  return accessRequest({
    method: 'POST',
    target,
    host: 'inference.example.com',
    sourceAddress: '10.1.2.3',
    headers: [
      ['content-type', 'application/json'],
      ['content-length', String(body.length)],
      ['x-envoy-auth-partial-body', 'false'],
    ],
    body,
    complete: true,
    declaredLength: body.length,
  });
}

function chatBody(bytes: number, shape: 'one long text' | 'many messages'): string {
  const words = 'Name three rivers of Europe, then say which is the longest. ';
  const size = shape === 'one long text' ? bytes - 120 : 80;
  const content = words.repeat(Math.ceil(size / words.length)).slice(0, size);
  const count = shape === 'one long text' ? 1 : Math.max(1, Math.floor((bytes - 100) / 112));
  const messages = Array.from({ length: count }, () => ({ role: 'user', content }));
  return JSON.stringify({ model: 'llama-3-8b', stream: true, max_tokens: 256, messages });
}

/** The fastest round: the machine's other work only ever adds. */
function print(name: string, run: () => string): void {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) best = Math.min(best, microseconds(run));
  console.info(`${best.toFixed(2).padStart(9)} µs  ${name} (${run()})`);
}

function microseconds(run: () => string): number {
  const started = process.cpuUsage();
  const until = performance.now() + ROUND_MS;
  let calls = 0;
  while (performance.now() < until) {
    for (let i = 0; i < 100; i++) run();
    calls += 100;
  }
  const { user, system } = process.cpuUsage(started);
  return (user + system) / calls;
}
