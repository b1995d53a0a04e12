import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';

/** A line of a log file, or a piece of the file that cannot be read as one. */
export type FileLine =
  | { readonly kind: 'line'; readonly text: string; readonly bytes: number }
  /** Longer than an event can be, or behind the place where a compressed file breaks off. */
  | { readonly kind: 'unreadable'; readonly cause: string };

/** Reads a log of any length line by line, plain or compressed by its name's `.gz`. Throws where there is no such file. */
export async function* readLogLines(file: string): AsyncGenerator<FileLine> {
  const compressed = file.endsWith('.gz');
  const source = createReadStream(file);
  const gunzip = compressed ? createGunzip() : undefined;
  // `pipe` does not pass errors on, and a reader of the far end would wait for ever.
  source.on('error', (error) => gunzip?.destroy(error));
  let rest = '';
  let skipping = false;
  const decoder = new TextDecoder();
  const split = function* (text: string): Generator<FileLine> {
    let start = 0;
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
      const line = rest + text.slice(start, end);
      start = end + 1;
      rest = '';
      if (!skipping && line !== '') yield { kind: 'line', text: line, bytes: line.length + 1 };
      skipping = false;
    }
    rest = skipping ? '' : rest + text.slice(start);
    if (rest.length <= MAX_LINE) return;
    rest = '';
    skipping = true;
    yield { kind: 'unreadable', cause: 'a line is longer than any event' };
  };
  try {
    for await (const piece of gunzip === undefined ? source : source.pipe(gunzip)) {
      yield* split(decoder.decode(piece, { stream: true }));
    }
  } catch (error) {
    if (gunzip === undefined || !isBrokenArchive(error)) throw error;
    yield { kind: 'unreadable', cause: `\`${file}\` breaks off: ${error.message}` };
  } finally {
    source.destroy();
  }
  // The last line may still be being written.
  if (rest !== '') yield { kind: 'line', text: rest, bytes: rest.length };
}

/** Twenty times the longest event; lines of other programs may be longer than ours. */
const MAX_LINE = 320 * 1024;

function isBrokenArchive(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('Z_');
}
