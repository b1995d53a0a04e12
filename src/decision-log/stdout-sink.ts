import { fstatSync } from 'node:fs';
import { createLineWriter } from './descriptor.ts';
import type { Sink } from './sink.ts';

/** What the sink needs of `process.stdout`. */
export interface Stdout {
  readonly fd: number;
  write(text: string, written: (error?: Error | null) => void): boolean;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/**
 * Writes lines to stdout without ever blocking the event loop: pipes and sockets through Node's stream, which is
 * asynchronous for them on Linux; files and terminals, for which that stream blocks, through the thread pool. A pipe
 * does not go through the pool, because a thread that waits for its reader would keep the process from ending.
 */
export function createStdoutSink(stdout: Stdout): Sink {
  const writeLines = createLineWriter();
  let write: Sink['write'] = () => Promise.reject(new Error('stdout is not open'));

  return {
    name: 'stdout',
    open: async () => {
      const kind = fstatSync(stdout.fd);
      if (kind.isFIFO() || kind.isSocket()) {
        // Without a listener a reader that goes away (EPIPE) ends the process.
        stdout.on('error', ignore);
        write = (lines) => writeToStream(stdout, lines.join(''));
      } else {
        write = async (lines) => {
          await writeLines(stdout.fd, lines);
        };
      }
    },
    write: (lines) => write(lines),
    reopen: async () => {},
    close: async () => {},
  };
}

function writeToStream(stdout: Stdout, lines: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stdout.write(lines, (error) => {
      if (error === undefined || error === null) resolve();
      else reject(error);
    });
  });
}

/** The same error reaches the callback of the write, which counts it. */
function ignore(): void {}
