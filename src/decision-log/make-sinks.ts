import type { SinkConfig } from './config.ts';
import { createFileSink, type FileSinkParts } from './file-sink.ts';
import type { Sink } from './sink.ts';
import { createRemoteSink, type RemoteSinkParts } from './sinks/remote-sinks.ts';
import { createStdoutSink, type Stdout } from './stdout-sink.ts';

/** Makes the sinks of the config; opens none. */
export function createSinks(
  configs: readonly SinkConfig[],
  parts: FileSinkParts & RemoteSinkParts & { readonly stdout: Stdout },
): readonly Sink[] {
  return configs.map((config) => {
    if ('stdout' in config) return createStdoutSink(parts.stdout);
    return 'file' in config ? createFileSink(config.file, parts) : createRemoteSink(config, parts);
  });
}
