import type { Value } from '../values/value.ts';

/**
 * Numbers for the inputs and data that an evaluation looks at: what is remembered of a rule is remembered under them. The
 * same document, brought back, has its number again; the data of one evaluation keeps its number in the next.
 */
export interface Worlds {
  /** A new evaluation's input and data. Strict evaluations have a number of their own for the same data, and keep it. */
  begin(input: Value | undefined, data: Value, strict: boolean): void;
  readonly input: number;
  readonly data: number;
  /** Lets go of the documents. */
  end(): void;
  readonly openInput: (document: Value | undefined) => number;
  readonly closeInput: () => number;
  readonly openData: (document: Value | undefined) => number;
  readonly closeData: () => number;
  /** Whether a `with` is around that replaces data or a part of it. */
  dataReplaced(): boolean;
}

interface World {
  readonly document: Value | undefined;
  readonly number: number;
}

export function createWorlds(): Worlds {
  let last = 0;
  let data: World = { document: undefined, number: 0 };
  let lenient: World = data;
  let strictly: World = data;
  let input = 0;
  let inputs: World[] = [];
  let datas: World[] = [];
  let begun: { readonly input: Value | undefined } = { input: undefined };

  const open = (worlds: World[], document: Value | undefined, base: World): number => {
    let number = base.document === document ? base.number : undefined;
    for (const world of worlds) if (world.document === document) number = world.number;
    worlds.push({ document, number: number ?? ++last });
    return worlds.at(-1)?.number ?? 0;
  };
  const close = (worlds: World[], base: number): number => {
    worlds.pop();
    return worlds.at(-1)?.number ?? base;
  };

  return {
    begin(document, newData, strict) {
      input = ++last;
      begun = { input: document };
      if (inputs.length > 0) inputs = [];
      if (datas.length > 0) datas = [];
      if (data.document !== newData) {
        lenient = { document: newData, number: ++last };
        strictly = { document: newData, number: ++last };
      }
      data = strict ? strictly : lenient;
    },
    get input() {
      return input;
    },
    get data() {
      return data.number;
    },
    end() {
      begun = { input: undefined };
    },
    openInput: (document) => open(inputs, document, { document: begun.input, number: input }),
    closeInput: () => close(inputs, input),
    openData: (document) => open(datas, document, data),
    closeData: () => close(datas, data.number),
    dataReplaced: () => (datas.at(-1)?.number ?? data.number) !== data.number,
  };
}
