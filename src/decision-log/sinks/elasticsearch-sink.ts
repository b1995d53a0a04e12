import { isObject } from '../../decision/json.ts';
import type { RemoteSink } from '../sink.ts';
import type { ElasticsearchSinkConfig } from './config-types.ts';
import { formatEvent } from './format.ts';
import { indexName } from './index-name.ts';
import { eventId, readEvent } from './logged-event.ts';
import { createPostedSink, type Settled, type Wire } from './posted-sink.ts';
import type { RemoteSinkParts } from './remote-sinks.ts';
import { createTarget } from './target.ts';

/**
 * Posts events to `_bulk` of Elasticsearch and OpenSearch. Each is created under an id of its own, so that one which is
 * sent twice is there once.
 */
export function createElasticsearchSink(config: ElasticsearchSinkConfig, parts: RemoteSinkParts): RemoteSink {
  const { name, batch, format, index } = config;
  const wire: Wire = {
    contentType: 'application/x-ndjson',
    encode: (line) => {
      const event = readEvent(line);
      if (event === undefined) return undefined;
      const create = { _index: indexName(index, event.timestamp), _id: eventId(event) };
      return { text: `${JSON.stringify({ create })}\n${formatEvent(format, event, line)}\n` };
    },
    frame: (entries) => entries.map(({ text }) => text).join(''),
    settle: settleBulk,
  };
  // The answer repeats every id unless it is asked not to.
  const query = 'filter_path=errors,items.*.status,items.*.error.type';
  return createPostedSink({ name, batch, wire, target: createTarget({ config, query, ...parts }) });
}

/** Reads `items[].create.status`; an item that exists already (409) is one of ours, sent again. */
export function settleBulk(body: string, count: number): Settled {
  const answer: unknown = JSON.parse(body);
  const items = isObject(answer) ? answer['items'] : undefined;
  if (!Array.isArray(items) || items.length !== count) throw new Error('it has not one item for each event');
  const refused: number[] = [];
  const again: number[] = [];
  let reason: string | undefined;
  items.forEach((item: unknown, at) => {
    const created = isObject(item) ? item['create'] : undefined;
    const status = isObject(created) ? created['status'] : undefined;
    if (!isObject(created) || typeof status !== 'number') throw new Error('an item has no status');
    if ((status >= 200 && status < 300) || status === CONFLICT) return;
    (isForEver(status) ? refused : again).push(at);
    reason ??= reasonOf(created['error'], status);
  });
  return { refused, again, ...(reason === undefined ? {} : { reason }) };
}

const CONFLICT = 409;

/** An index that is missing or blocked (a full disk blocks writing with 403) is the operator's to put right. */
function isForEver(status: number): boolean {
  return status === 400 || status === 413 || status === 422;
}

function reasonOf(error: unknown, status: number): string {
  const type = isObject(error) ? error['type'] : undefined;
  // A word of theirs, such as `mapper_parsing_exception`; their sentences quote the event.
  return typeof type === 'string' && WORD.test(type) ? `${type} (${status})` : `status ${status}`;
}

const WORD = /^[a-z_]{1,64}$/;
