import { type FileHandle, open } from 'node:fs/promises';
import { createLineWriter } from './descriptor.ts';
import type { Sink } from './sinks.ts';

/** Appends lines to a file, made with mode 0600: events name who did what. */
export function createFileSink(path: string): Sink {
  const writeLines = createLineWriter();
  let file: FileHandle | undefined;

  const openFile = async (): Promise<FileHandle> => {
    try {
      return await open(path, 'a', 0o600);
    } catch (cause) {
      throw new Error(`cannot open the decision log \`${path}\`: check its folder and permissions`, { cause });
    }
  };
  return {
    name: 'file',
    open: async () => {
      file = await openFile();
    },
    write: async (lines) => {
      if (file === undefined) throw new Error(`the decision log \`${path}\` is not open`);
      await writeLines(file.fd, lines);
    },
    reopen: async () => {
      const former = file;
      // Opened first: if that fails, the former file stays in use.
      file = await openFile();
      await former?.close();
    },
    close: async () => {
      const former = file;
      file = undefined;
      await former?.close();
    },
  };
}
