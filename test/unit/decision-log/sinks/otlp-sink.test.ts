import { afterEach, describe, expect, test } from 'vitest';
import { settleOtlp } from '../../../../src/decision-log/sinks/otlp-sink.ts';
import { lineOf } from '../../../support/events.ts';
import { allowOutcome, denyOutcome } from '../../../support/outcome.ts';
import { type LoopbackTarget, startTarget } from './loopback-target.ts';
import { faultOf, linesOf, sinkOf } from './sink-cases.ts';

let target: LoopbackTarget | undefined;
afterEach(async () => {
  await target?.stop();
  target = undefined;
});

const attributesOf = (list: { key: string; value: object }[]): { [key: string]: unknown } =>
  Object.fromEntries(list.map(({ key, value }) => [key, Object.values(value)[0]]));

describe('the otlp sink', () => {
  test('posts log records with their resource, severity, ids in hex and nanoseconds', async () => {
    target = await startTarget((_, response) => void response.writeHead(200).end('{}'));
    const lines = [lineOf(allowOutcome()), lineOf(denyOutcome('policy_denied'))];
    await sinkOf('otlp', target.url).write(lines);
    const [received] = target.received;
    expect(received?.url).toBe('/v1/logs');
    const { resourceLogs } = JSON.parse(received?.body ?? '');
    expect(resourceLogs.length).toBe(1);
    expect(attributesOf(resourceLogs[0].resource.attributes)).toEqual({
      ...{ 'service.name': 'sallyport', 'service.instance.id': 'instance-1', region: 'eu-1' },
    });
    const [allowed, denied] = resourceLogs[0].scopeLogs[0].logRecords;
    expect(allowed).toMatchObject({
      ...{ timeUnixNano: `${Date.UTC(2026, 10, 2, 12)}500000`, severityNumber: 9, severityText: 'INFO' },
      ...{ traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00000000000000aa' },
    });
    expect(allowed.body.stringValue).toBe(lines[0]?.trimEnd());
    expect(denied).toMatchObject({ severityNumber: 13, severityText: 'WARN' });
    expect(attributesOf(denied.attributes)).toMatchObject({
      ...{ 'event.name': 'sallyport.decision', 'sallyport.decision': 'deny', 'sallyport.code': 'policy_denied' },
      ...{ 'sallyport.sequence': '17', 'http.response.status_code': '403', 'sallyport.tenant': 'tenant-a' },
    });
  });

  test('parts the records of former processes from ours', async () => {
    target = await startTarget((_, response) => void response.writeHead(200).end());
    await sinkOf('otlp', target.url).write([
      ...linesOf(2, { instance_id: 'former' }),
      ...linesOf(1, { labels: { region: 'us-2' } }),
    ]);
    const { resourceLogs } = JSON.parse(target.received[0]?.body ?? '');
    const attributes = resourceLogs.map(({ resource }: { resource: { attributes: [] } }) =>
      attributesOf(resource.attributes),
    );
    expect(attributes).toMatchObject([
      { 'service.instance.id': 'former', region: 'eu-1' },
      { 'service.instance.id': 'instance-1', region: 'us-2' },
    ]);
  });

  test('counts what was refused, and does not send it again', async () => {
    const partialSuccess = { rejectedLogRecords: '2', errorMessage: 'canary' };
    target = await startTarget((_, response) => void response.writeHead(200).end(JSON.stringify({ partialSuccess })));
    const fault = await faultOf(sinkOf('otlp', target.url).write(linesOf(5)));
    expect(fault.refused.length).toBe(2);
    expect(fault.delivered.length).toBe(3);
    expect(fault.message).not.toContain('canary');
  });

  test.each([
    '<html>',
    '[',
    '{"partialSuccess":{"rejectedLogRecords":-1}}',
    '{"partialSuccess":{"rejectedLogRecords":"x"}}',
  ])('does not understand %s', (body) => {
    expect(() => settleOtlp(body, 3)).toThrow();
  });
});
