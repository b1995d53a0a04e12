import { afterEach, describe, expect, test } from 'vitest';
import { settleBulk } from '../../../../src/decision-log/sinks/elasticsearch-sink.ts';
import { type LoopbackTarget, startTarget } from './loopback-target.ts';
import { faultOf, linesOf, sinkOf, tellAll } from './sink-cases.ts';

let target: LoopbackTarget | undefined;
afterEach(async () => {
  await target?.stop();
  target = undefined;
});

function item(status: number, type?: string): object {
  const error = { type, reason: 'canary: it quotes the event' };
  return { create: type === undefined ? { status } : { status, error } };
}

async function answering(...items: readonly object[]): Promise<LoopbackTarget> {
  target = await startTarget((_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ errors: true, items }));
  });
  return target;
}

describe('the elasticsearch sink', () => {
  test('creates each event under its own id, in the index of its day', async () => {
    const { url, received } = await answering(item(201), item(201));
    await sinkOf('elasticsearch', url).write(linesOf(2));
    const lines = received[0]?.body.split('\n') ?? [];
    expect(received[0]?.headers['content-type']).toBe('application/x-ndjson');
    expect(received[0]?.url).toMatch(/^\/_bulk\?filter_path=/);
    expect(lines.length).toBe(5);
    expect(lines[0]).toBe('{"create":{"_index":"decisions-2026.11.02","_id":"instance-1:1"}}');
    expect(JSON.parse(lines[3] ?? '')).toMatchObject({ sequence: 2 });
    expect(lines[4]).toBe('');
  });

  test('counts what is there already as delivered', async () => {
    const { url } = await answering(item(409, 'version_conflict_engine_exception'), item(201));
    await sinkOf('elasticsearch', url).write(linesOf(2));
  });

  test('tells apart what is refused, what may be taken later, and what is there', async () => {
    const { url } = await answering(
      ...[item(201), item(400, 'mapper_parsing_exception'), item(429, 'rejected_execution_exception'), item(409)],
      ...[item(403, 'cluster_block_exception'), item(503)],
    );
    const fault = await faultOf(sinkOf('elasticsearch', url).write(linesOf(6)));
    expect(fault).toMatchObject({ kind: 'retry', refused: [1], delivered: [0, 3] });
    expect(fault.message).toContain('mapper_parsing_exception (400)');
    expect(tellAll(fault)).not.toContain('canary');
  });

  test.each([
    ['HTML', '<html>'],
    ['nothing', ''],
    ['no items', '{}'],
    ['too few items', JSON.stringify({ items: [item(201)] })],
    ['items of another operation', JSON.stringify({ items: [{ index: { status: 200 } }, item(201)] })],
    ['a status that is no number', JSON.stringify({ items: [{ create: { status: 'ok' } }, item(201)] })],
  ])('tries again when the answer is %s', async (_, body) => {
    target = await startTarget((_received, response) => void response.writeHead(200).end(body));
    const fault = await faultOf(sinkOf('elasticsearch', target.url).write(linesOf(2)));
    expect(fault).toMatchObject({ kind: 'retry', refused: [], delivered: [] });
    expect(fault.message).toContain('cannot be read');
  });

  test('repeats no word of the target that is none', () => {
    const body = JSON.stringify({ items: [item(400, 'Bearer abc <script>')] });
    expect(settleBulk(body, 1)).toEqual({ refused: [0], again: [], reason: 'status 400' });
  });
});
