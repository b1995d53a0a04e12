import type { RemoteSink } from '../sink.ts';
import type { HttpSinkConfig } from './config-types.ts';
import { createEncode } from './format.ts';
import { createPostedSink, type Wire } from './posted-sink.ts';
import type { RemoteSinkParts } from './remote-sinks.ts';
import { createTarget } from './target.ts';

/** Posts events as OPA's decision log API has them: a gzipped JSON array, confirmed by any 2xx. */
export function createHttpSink(config: HttpSinkConfig, parts: RemoteSinkParts): RemoteSink {
  const encode = createEncode(config.format);
  const wire: Wire = {
    contentType: 'application/json',
    encode: (line) => {
      const text = encode(line);
      return text === undefined ? undefined : { text };
    },
    frame: (entries) => `[${entries.map(({ text }) => text).join(',')}]`,
    settle: () => ({ refused: [], again: [] }),
  };
  const { name, batch } = config;
  return createPostedSink({ name, batch, wire, target: createTarget({ config, ...parts }) });
}
